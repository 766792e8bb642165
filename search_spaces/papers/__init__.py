"""The papers' search spaces and studies, a package for each paper."""
