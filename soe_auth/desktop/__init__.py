"""The desktop: browser launch, environment detection, child processes."""
