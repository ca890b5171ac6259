"""What an application can be given: routes, middleware, listeners and tasks, as decorators and as data."""
