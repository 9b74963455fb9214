from .core.errors import HierrecError as HierrecError
from .serving.find_items import NotFoundError as NotFoundError
from .serving.recommend import Recommender as Recommender

__version__: str
