"""A fuzzer that follows what the wire's code does; ``python -m tests.fuzz`` or ``make fuzz``."""
