"""What goes over the wire: words, bodies, routes, requests and replies, in the fake's own spelling."""
