"""Where a mesh comes from. A source keeps its documents parsed, and says when they have changed."""
