"""The ground floor: frozen data and pure decisions; no loop, clock, randomness or I/O."""
