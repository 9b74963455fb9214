"""Exact search of a datastore's keys. For few queries a scan of small codes leaves few keys to compare in full."""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from ..search.vectors import QUERIES

BLOCK = 65_536  # keys that are converted to float32 at a time
SAMPLE = 65_536  # keys that choose the axes and steps of the codes
COLUMNS = 96  # numbers of a code, one byte each
THINNED = 16  # one in this many bounds or products is sampled to estimate a quantile
TOGETHER = 256  # queries of one matrix product
PRODUCTS = 2**22  # products of queries and keys that are in memory at a time
COMPARED = 2048  # keys that are compared in full at a time, which stay in the processor's cache
ROUNDING = 2.0**-14  # more than the relative error of a float32 product of vectors of up to 512 dimensions

Nearest = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Keys in ascending order, and their inner products with a query."""


class Codes:
    """Codes of keys, `COLUMNS` bytes each, from which one product gives an upper bound of any inner product.

    The codes describe a key x by its first principal coordinates y, rounded to z, and by two lengths: h of y - z, and t
    of the other coordinates. Let a query q have the first coordinates p and the length r of the others. By Cauchy and
    Schwarz, on both parts:

        q·x  =  p·z + p·(y - z) + others  <=  p·z + |p| h + r t

    The right side is the product of (z, h, t), where the lengths are rounded up, with (p, |p|, r).
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
        """Return upper bounds of the products of a query [D] with all keys, bfloat16 [N], and a number to add to them.

        The number is the length of the query's error vector, from rounding to bfloat16, times the longest code. The
        bounds themselves are rounded to the nearest.
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

    Products are float32 sums in one fixed order. Few queries are searched one by one: `Codes` bound all products. The
    k-th largest product of any k keys is at most the k-th largest of all keys. So a key whose bound is lower is not
    among the k nearest. The other keys are compared in full, so the result is the same as if all keys were compared.

    Many queries are searched by one matrix product, which rounds differently. A sample of the products estimates a
    value that the nearest keys exceed. If the k-th largest product exceeds it by more than the rounding error, no key
    below the value is among the nearest. Else (many keys tie, or the estimate was too high) the query is searched by
    the codes. The keys, float16 [N, D], are finite and of any norm.
    """

    def __init__(self, keys: NDArray[np.float16]) -> None:
        self.keys = keys

    @cached_property
    def codes(self) -> Codes:
        """The codes of the keys, built when they are first needed."""
        return Codes(self.keys)

    @cached_property
    def _whole(self) -> NDArray[np.float32]:
        """The keys, float32 [N, D]."""
        return np.asarray(self.keys, np.float32)

    @cached_property
    def _longest(self) -> float:
        return float(_squares(self._whole).max()) ** 0.5

    def search(self, queries: NDArray[np.float32], k: int) -> list[Nearest]:
        """Return the min(k, N) nearest keys of each query, float32 [B, D], finite; k is at least 1."""
        k = min(k, len(self.keys))
        if not k:
            return [(np.empty(0, np.int64), np.empty(0, np.float32))] * len(queries)
        if len(queries) < QUERIES:
            return [self._by_codes(query, k) for query in queries]
        blocks = np.array_split(queries, -(-len(queries) // TOGETHER))
        return [found for block in blocks for found in self._by_products(block, k)]

    def _by_products(self, queries: NDArray[np.float32], k: int) -> Iterator[Nearest]:
        """Yield the k nearest keys of each query; compares in full the keys whose product seems large enough."""
        whole = self._whole
        sample = queries @ whole[::THINNED].T  # [B, N / THINNED]
        least = _estimate(sample, k)  # [B], probably a little less than the k-th largest product
        near, step = [np.empty((2, 0), np.int64)], PRODUCTS // len(queries)
        for start in range(0, len(whole), step):
            seems = queries @ whole[start : start + step].T >= least[:, None]  # [B, s]
            places = np.divmod(np.flatnonzero(seems), seems.shape[1])  # of queries and of keys
            near.append(np.stack([places[0], start + places[1]]))
        places, rows = np.concatenate(near, axis=1)  # [M] each
        rows = rows[np.argsort(places.astype(np.int16), kind="stable")]  # by query, then ascending
        errors = 2 * ROUNDING * self._longest * np.linalg.norm(queries, axis=1)  # [B]
        ends = np.cumsum(np.bincount(places, minlength=len(queries)))[:-1]
        for query, rows_of, bound in zip(queries, np.split(rows, ends), least + errors, strict=True):
            products = _products(query, whole, rows_of)  # [m]
            best = np.sort(largest(products, k))
            if len(best) == k and (products[best].min() > bound or len(rows_of) == len(whole)):
                yield rows_of[best], products[best]
            else:
                yield self._by_codes(query, k)

    def _by_codes(self, query: NDArray[np.float32], k: int) -> Nearest:
        bounds, error = self.codes.bounds(query)  # [N]
        rows = _at_least(bounds, _estimate(bounds[None, ::THINNED].float().numpy(), k)[0])  # [m]
        if len(rows) < k:
            rows = np.arange(len(bounds))
        least = np.partition(_products(query, self.keys, rows), -k)[-k]
        rows = _at_least(bounds, least - error)  # [m], at least k
        products = _products(query, self.keys, rows)  # [m]
        best = np.sort(largest(products, k))
        return rows[best], products[best]


def _estimate(sample: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Return estimates [B], from samples [B, s] of all values: probably a few more than k of all values reach them."""
    place = min(sample.shape[1], k // THINNED + k // (4 * THINNED) + THINNED)
    return np.partition(sample, -place)[:, -place]


def largest(values: NDArray, k: int) -> NDArray[np.int64]:
    """Return the places of the k largest values, or of all, the largest first; ties by place."""
    places = np.flatnonzero(values >= np.partition(values, -k)[-k]) if k < len(values) else np.arange(len(values))
    return places[np.argsort(-values[places], kind="stable")][:k]


def to_float32(keys: NDArray) -> NDArray[np.float32]:
    """Return keys in float32; torch converts them five times as fast as numpy."""
    return torch.from_numpy(keys if keys.flags.writeable else np.array(keys)).float().numpy()


def _products(query: NDArray[np.float32], keys: NDArray, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the inner products of a query with the keys at these rows, [m], each summed in the same order."""
    products = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), COMPARED):
        part = slice(start, start + COMPARED)
        np.einsum("md,d->m", to_float32(keys.take(rows[part], axis=0)), query, out=products[part])
    return products


def _squares(vectors: NDArray) -> NDArray[np.float32]:
    """Return the squared lengths of vectors [n, d]."""
    return np.einsum("nd,nd->n", vectors, vectors)


def _at_least(bounds: torch.Tensor, least: np.float32) -> NDArray[np.int64]:
    """Return the places of the bounds, bfloat16 [N], that are at least a value, which is rounded to bfloat16 too."""
    rounded = torch.tensor([least]).bfloat16()
    if rounded > 0:  # then the bits order as integers, which numpy compares much faster
        return np.flatnonzero(bounds.view(torch.int16).numpy() >= rounded.view(torch.int16).numpy())
    return np.flatnonzero((bounds >= rounded).numpy())
