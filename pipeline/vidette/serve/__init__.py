"""HTTP: clients of Roboflow's and Ultralytics' APIs ask, and their pictures run in the same batches as the cameras.

app.py        the routes, put together
dialects/     one thin module per API: what a request means, and what its answer looks like
registry.py   the models: loaded on demand, swapped, evicted when idle
answering.py  a picture -> the lane of its model -> predictions
"""
