"""The data plane: the API that programs call, behind one transport seam."""
