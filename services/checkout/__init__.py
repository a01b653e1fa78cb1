"""From hold to tickets: the services Checkout and Mailer."""
