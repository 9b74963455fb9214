"""Run the whole pipeline on real data sets, one params file each: `python -m bench.datasets NAME --data FOLDER`."""
