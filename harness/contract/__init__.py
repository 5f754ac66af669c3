"""The interface between plugins and the core: values, hooks, parameters, the registry."""
