from .core.errors import HierrecError as HierrecError
from .serving.find_items import NotFoundError as NotFoundError
from .serving.recommend import Recommender as Recommender
from .store.store import EmbeddingStore as EmbeddingStore

__version__: str
