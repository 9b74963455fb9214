"""Exact search of a datastore's keys. For few queries a scan of small codes leaves few keys to compare in full."""

from functools import cached_property

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from ..search.fast_faiss import QUERIES, matrix_products

BLOCK = 65_536  # keys that are converted to float32 at a time
SAMPLE = 65_536  # keys that choose the axes and steps of the codes
COLUMNS = 64  # numbers of a code, one byte each
THINNED = 16  # the distance of the bounds that estimate a quantile
MARGIN = 64  # keys that FAISS finds beyond those that are wanted, because its rounding may swap keys around the end
ROUNDING = 2.0**-14  # more than the relative error of a float32 product of vectors of up to 512 dimensions

Nearest = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Keys in ascending order, and their inner products with a query."""


class Codes:
    """Codes of keys, 64 bytes each, from which one product gives an upper bound of any inner product.

    The codes describe a key x by its first principal coordinates y, rounded to z, and by two lengths: h of y - z, and t
    of the other coordinates. Let a query q have the first coordinates p and the length r of the others. By Cauchy and
    Schwarz, on both parts:

        q·x  =  p·z + p·(y - z) + others  <=  p·z + |p| h + r t

    The right side is the product of (z, h, t), where the lengths are rounded up, with (p, |p|, r).

    Args:
        keys: float16 [N, D], finite, of any norm.
    """

    def __init__(self, keys: NDArray[np.float16]) -> None:
        width = min(keys.shape[1], COLUMNS - 2)  # W
        sample = to_float32(keys[:: max(1, len(keys) // SAMPLE)])  # [s, D]
        _, axes = np.linalg.eigh((sample.T @ sample).astype(np.float64))  # columns by ascending variance
        self._axes = np.ascontiguousarray(axes[:, ::-1][:, :width], np.float32)  # [D, W]
        self._steps = np.ones(COLUMNS, np.float32)  # the value of 1 in each column of the codes
        steps = self._steps[:width]
        steps[:] = np.abs(sample @ self._axes).max(0, initial=0) / 127
        steps[steps == 0] = 1
        codes = np.zeros((len(keys), COLUMNS), np.int8)
        lengths, longest = np.empty((len(keys), 2), np.float32), 0.0
        for start in range(0, len(keys), BLOCK):
            part = slice(start, start + BLOCK)
            block = to_float32(keys[part])  # [b, D]
            first = block @ self._axes  # [b, W]
            codes[part, :width] = (first / steps).round().clip(-127, 127)
            squares = _squares(block)  # [b]
            lost = _squares(first - codes[part, :width] * steps)  # [b]
            others = (squares - _squares(first)).clip(0)  # [b]; float32 leaves an error relative to `squares`
            lengths[part] = np.sqrt(np.stack([lost, others], 1) + ROUNDING / 4 * squares[:, None])
            longest = max(longest, float(squares.max()) ** 0.5)
        h, t = largest = lengths.max(0, initial=np.finfo(np.float32).tiny)  # [2]
        self._steps[-2:] = largest * (1 + ROUNDING) / 127
        codes[:, -2:] = np.ceil(lengths / self._steps[-2:])
        # |z|² + t² <= (|x| + h)², and rounding up adds a 127th to each length.
        self.longest = longest + 3 * float(h) + float(t) / 64  # code, in the units of the keys
        self._codes, self._ones = torch.from_numpy(codes), torch.ones(len(keys), dtype=torch.bfloat16)

    def bounds(self, query: NDArray[np.float32]) -> tuple[torch.Tensor, float]:
        """Return upper bounds of the products of a query [D] with all keys, bfloat16 [N], and what is to be added.

        The query is rounded to bfloat16. The error is a vector, and its length times the longest code is to be added to
        the bounds, which are themselves rounded to the nearest.
        """
        p = query @ self._axes  # [W]
        norm, inside = float(np.linalg.norm(query)), float(np.linalg.norm(p))
        whole = np.zeros(COLUMNS, np.float32)
        whole[: len(p)] = p
        whole[-2:] = inside * (1 + ROUNDING), max(0, norm**2 - inside**2) ** 0.5 + ROUNDING * norm
        rounded = torch.from_numpy(whole * self._steps).bfloat16()  # [COLUMNS]
        error = float(np.linalg.norm(rounded.float().numpy() / self._steps - whole))
        bounds = torch.ops.aten._weight_int8pack_mm(rounded[None], self._codes, self._ones)[0]  # [N]
        return bounds, self.longest * (error + ROUNDING * norm)


class NearestKeys:
    """Finds the keys with the largest inner products, exactly, in a total order: larger products, then lower keys.

    Products are float32 sums in one fixed order. Few queries are searched one by one: `Codes` bound all products. Any
    k keys have a k-th largest product that is at most the k-th largest of all, so a key whose bound is lower is not
    among the k nearest. All other keys are compared in full. However many these are, the result is that of comparing
    all keys.

    Many queries are searched by FAISS's matrix product, which rounds otherwise. A key that it leaves out has at most
    the product of the last that it finds, but for rounding. Where the k-th nearest does not exceed that clearly (many
    keys tie), the query is searched by the codes.

    Args:
        keys: float16 [N, D], finite, of any norm.
    """

    def __init__(self, keys: NDArray[np.float16]) -> None:
        self.keys = keys

    @cached_property
    def codes(self) -> Codes:
        """The codes of the keys, built when they are first needed."""
        return Codes(self.keys)

    @cached_property
    def _flat(self) -> faiss.IndexFlatIP:
        index = faiss.IndexFlatIP(self.keys.shape[1])
        for start in range(0, len(self.keys), BLOCK):
            index.add(to_float32(self.keys[start : start + BLOCK]))  # pyright: ignore[reportCallIssue]
        return index

    @cached_property
    def _longest(self) -> float:
        blocks = range(0, len(self.keys), BLOCK)
        return max(float(_squares(to_float32(self.keys[at : at + BLOCK])).max()) for at in blocks) ** 0.5

    def search(self, queries: NDArray[np.float32], k: int) -> list[Nearest]:
        """Return the min(k, N) nearest keys of each query.

        Args:
            queries: float32 [B, D], finite.
            k: at least 1.
        """
        k = min(k, len(self.keys))
        if not k:
            return [(np.empty(0, np.int64), np.empty(0, np.float32))] * len(queries)
        if len(queries) < QUERIES:
            return [self._by_codes(query, k) for query in queries]
        with matrix_products(queries.shape[1]):
            rounded, found = self._flat.search(queries, k + MARGIN)  # pyright: ignore[reportCallIssue]
        return [self._checked(*line, k) for line in zip(queries, rounded, found, strict=True)]

    def _checked(
        self, query: NDArray[np.float32], rounded: NDArray[np.float32], found: NDArray[np.int64], k: int
    ) -> Nearest:
        """Return the k nearest of the keys that FAISS found (-1: none), if no other can be among them."""
        rows = np.sort(found[found >= 0])
        products = self._products(query, rows)  # [m]
        error = 2 * ROUNDING * self._longest * float(np.linalg.norm(query))
        if len(rows) < len(self.keys) and np.partition(products, -k)[-k] <= rounded[-1] + error:
            return self._by_codes(query, k)
        return _first(rows, products, k)

    def _by_codes(self, query: NDArray[np.float32], k: int) -> Nearest:
        bounds, error = self.codes.bounds(query)  # [N]
        thin = bounds[::THINNED].float().numpy()
        place = min(len(thin), k // THINNED + k // (4 * THINNED) + THINNED)
        rows = _at_least(bounds, np.partition(thin, -place)[-place])  # [m], probably a few more than k
        if len(rows) < k:
            rows = np.arange(len(bounds))
        products = self._products(query, rows)  # [m]
        least = np.partition(products, -k)[-k]
        further = np.setdiff1d(_at_least(bounds, least - error), rows, assume_unique=True)
        rows, products = np.append(rows, further), np.append(products, self._products(query, further))
        order = np.argsort(rows)
        return _first(rows[order], products[order], k)

    def _products(self, query: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the inner products of a query with the keys at these rows, [m], each summed in the same order."""
        return np.einsum("md,d->m", to_float32(self.keys.take(rows, axis=0)), query)


def to_float32(keys: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return keys in float32; torch converts them five times as fast as numpy."""
    return torch.from_numpy(np.array(keys)).float().numpy()


def _squares(vectors: NDArray) -> NDArray[np.float32]:
    """Return the squared lengths of vectors [n, d]."""
    return np.einsum("nd,nd->n", vectors, vectors)


def _first(rows: NDArray[np.int64], products: NDArray[np.float32], k: int) -> Nearest:
    """Return the k keys with the largest products; `rows` ascend, so that a stable sort prefers the lower key."""
    best = np.sort(np.argsort(-products, kind="stable")[:k])
    return rows[best], products[best]


def _at_least(bounds: torch.Tensor, least: float) -> NDArray[np.int64]:
    """Return where bounds, bfloat16 [N], are at least a value once it is rounded as they are."""
    rounded = torch.tensor([least]).bfloat16()
    if rounded > 0:  # then the bits order as integers, which numpy compares much faster
        return np.flatnonzero(bounds.view(torch.int16).numpy() >= rounded.view(torch.int16).numpy())
    return np.flatnonzero((bounds >= rounded).numpy())
