"""How long soe-auth takes, and what it costs, as a user has it; `make bench` runs it all."""
