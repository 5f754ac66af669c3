"""What plugins and the core agree on: values, hooks, parameters, the registry."""
