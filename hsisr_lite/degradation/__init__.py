"""The degradation model: how two sensors see one scene."""
