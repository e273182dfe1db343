"""Datasets, their transforms and samplers.

Importing a module registers its classes with mmdet's registries; `axialvs.register` imports all.
"""
