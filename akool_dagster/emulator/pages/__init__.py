"""AKOOL's endpoints, one module per page of its documentation."""
