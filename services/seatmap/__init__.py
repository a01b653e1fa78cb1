"""Events and the view of their seats: the services Event, Catalog and SeatMap."""
