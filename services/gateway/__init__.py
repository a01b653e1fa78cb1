"""GRPC and HTTP doors in front of Restate."""
