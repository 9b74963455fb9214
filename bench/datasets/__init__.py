"""The whole pipeline on real data sets, each by a file of params: `python -m bench.datasets NAME --data FOLDER`."""
