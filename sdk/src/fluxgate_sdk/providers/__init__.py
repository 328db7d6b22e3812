"""One module for each provider's package, imported when its tracker is asked for."""
