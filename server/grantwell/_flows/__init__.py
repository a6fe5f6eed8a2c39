"""One module for each thing that can be asked: rules, store and hooks, in the order of the specification."""
