# ---
# jupyter:
#   kernelspec: {display_name: Python 3, language: python, name: python3}
#   title: "GFlowNets"
# ---

# %% [markdown]
# # GFlowNets
