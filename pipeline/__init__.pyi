from .serving.recommend import Recommender as Recommender

__version__: str
