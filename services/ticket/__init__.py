"""Who has a seat: the services Ticket and Buyer."""
