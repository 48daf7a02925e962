"""Searchable candidate embeddings: exact search, ScaNN, and one interface over both."""

from slate.retrieval.index.base import CandidateIndex, SearchResult
from slate.retrieval.index.build import build_index
from slate.retrieval.index.exact import ExactIndex
from slate.retrieval.index.files import open_index
from slate.retrieval.index.scann import ScannIndex

__all__ = ["CandidateIndex", "ExactIndex", "ScannIndex", "SearchResult", "build_index", "open_index"]
