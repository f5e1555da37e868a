"""The role of predicates of RDF vocabularies in a graph, one row per vocabulary.

A row gives the prefix of the vocabulary, the IRI namespaces, and the role of each predicate, with a rank if several
predicates have the same role. A predicate that is not listed states a triple if its object is a resource, otherwise a
literal value.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple
from urllib.parse import unquote


class Role(Enum):
    """The role of a statement about its subject; the value is its name in messages."""

    NAME = "names"
    ALIAS = "aliases"
    DESCRIPTION = "descriptions"
    TYPE = "types"
    FACT = "facts"
    FURTHER_ID = "further ids"
    REDIRECT = "redirects"
    """The subject is another name of the object."""
    REPLACED = "replacements of obsolete terms"
    OBSOLETE = "marks of obsolete terms"
    PRIOR = "priors"
    NAMES_PREDICATE = "predicates that a property names"
    """The subject's names are those of the object, a predicate."""
    LABEL_NODE = "names in separate nodes"
    ALIAS_NODE = "aliases in separate nodes"
    ABOUT = "documents about an entity"
    STRUCTURE = "parts of class expressions"
    NO_FACT = "statements that are no facts"


class Use(NamedTuple):
    """The role of a predicate, and its rank among the predicates of that role, 0 the best."""

    role: Role
    rank: int = 0


class Vocabulary(NamedTuple):
    """A row. `uses`: role → local names of predicates by rank, or a tuple with the ranks 0, 1, …; names separated by
    spaces in a string have the same rank. Ranks apply across vocabularies: if an entity has an `rdfs:label` and a
    `schema:name`, the one with the lower rank is its label."""

    prefix: str
    namespaces: tuple[str, ...]
    uses: Mapping[Role, tuple[str, ...] | Mapping[int, str]]
    others: Role | None = None
    """The role of predicates that are not listed."""


RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
RDFS = "http://www.w3.org/2000/01/rdf-schema#"
OWL = "http://www.w3.org/2002/07/owl#"
SKOS = "http://www.w3.org/2004/02/skos/core#"
SKOS_XL = "http://www.w3.org/2008/05/skos-xl#"
OBO = "http://purl.obolibrary.org/obo/"
OBO_IN_OWL = "http://www.geneontology.org/formats/oboInOwl#"
WIKIBASE = "http://wikiba.se/ontology#"
WIKIDATA_PROPERTY = "http://www.wikidata.org/prop/"
SUBCLASS = f"{RDFS}subClassOf"
SCHEMA = ("http://schema.org/", "https://schema.org/")
GEONAMES = ("http://www.geonames.org/ontology#", "https://www.geonames.org/ontology#")

VOCABULARIES = (
    Vocabulary("rdf", (RDF,), {Role.TYPE: ("type",), Role.STRUCTURE: ("first rest",)}, Role.NO_FACT),
    Vocabulary(
        "rdfs",
        (RDFS,),
        {
            Role.NAME: ("label",),
            Role.DESCRIPTION: {3: "comment"},
            Role.FACT: ("subClassOf",),
            Role.NO_FACT: ("seeAlso isDefinedBy domain range subPropertyOf member",),
        },
    ),
    Vocabulary(
        "owl",
        (OWL,),
        {
            Role.FURTHER_ID: ("sameAs",),
            Role.OBSOLETE: ("deprecated",),
            Role.FACT: ("equivalentClass",),
            Role.STRUCTURE: ("onProperty someValuesFrom hasValue intersectionOf",),
        },
        Role.NO_FACT,
    ),
    Vocabulary(
        "skos",
        (SKOS,),
        {
            Role.NAME: {1: "prefLabel"},
            Role.ALIAS: ("altLabel", "hiddenLabel"),
            Role.DESCRIPTION: {1: "definition", 4: "scopeNote"},
            Role.FURTHER_ID: ("exactMatch",),
            Role.NO_FACT: (
                "inScheme hasTopConcept topConceptOf closeMatch broadMatch narrowMatch relatedMatch mappingRelation "
                "member memberList",
            ),
        },
    ),
    Vocabulary(
        "skosxl",
        (SKOS_XL,),
        {
            Role.LABEL_NODE: ("prefLabel",),
            Role.ALIAS_NODE: ("altLabel", "hiddenLabel"),
            Role.NAME: ("literalForm",),
            Role.NO_FACT: ("labelRelation",),
        },
    ),
    Vocabulary(
        "oboInOwl",
        (OBO_IN_OWL,),
        {
            Role.ALIAS: ("hasExactSynonym", "hasNarrowSynonym", "hasBroadSynonym", "hasRelatedSynonym hasSynonym"),
            Role.TYPE: ("hasOBONamespace",),
            Role.FURTHER_ID: ("id", "hasAlternativeId", "hasDbXref"),
            Role.OBSOLETE: ("is_obsolete",),
        },
        Role.NO_FACT,
    ),
    Vocabulary(
        "IAO",
        (f"{OBO}IAO_",),
        {
            Role.DESCRIPTION: ("0000115",),
            Role.ALIAS: ("0000118", "0000111"),
            Role.REPLACED: ("0100001",),
            Role.NO_FACT: ("0000412 0000231 0000114 0000233",),
        },
    ),
    Vocabulary(
        "schema",
        SCHEMA,
        {
            Role.NAME: {2: "name"},
            Role.ALIAS: ("alternateName legalName",),
            Role.DESCRIPTION: {1: "description disambiguatingDescription"},
            Role.FURTHER_ID: ("sameAs",),
            Role.ABOUT: ("about",),
            Role.NO_FACT: (
                "image url logo thumbnailUrl contentUrl photo mainEntityOfPage license encoding",
            ),
        },
    ),
    Vocabulary(
        "wikibase",
        (WIKIBASE,),
        {Role.NAMES_PREDICATE: ("directClaim",), Role.PRIOR: ("sitelinks",)},
        Role.NO_FACT,
    ),
    Vocabulary("wdtn", (f"{WIKIDATA_PROPERTY}direct-normalized/",), {}, Role.FURTHER_ID),
    Vocabulary("wdt", (f"{WIKIDATA_PROPERTY}direct/",), {Role.TYPE: ("P31",)}, Role.FACT),
    Vocabulary("p", (WIKIDATA_PROPERTY,), {}, Role.NO_FACT),
    Vocabulary(
        "fb",
        ("http://rdf.freebase.com/ns/", "http://rdf.freebase.com/key/"),
        {
            Role.NAME: ("type.object.name",),
            Role.ALIAS: ("common.topic.alias",),
            Role.DESCRIPTION: ("common.topic.description",),
            Role.TYPE: ("type.object.type",),
            Role.NO_FACT: (
                "type.object.key type.object.guid type.object.permission type.type.instance common.topic.article "
                "common.topic.image common.topic.webpage common.topic.topic_equivalent_webpage "
                "common.topic.official_website common.topic.topical_webpage common.topic.notable_for "
                "common.topic.notable_types common.topic.social_media_presence",
            ),
        },
    ),
    Vocabulary(
        "gn",
        GEONAMES,
        {
            Role.NAME: ("name",),
            Role.ALIAS: ("officialName", "shortName", "alternateName colloquialName historicalName"),
            Role.TYPE: ("featureCode", "featureClass"),
            Role.PRIOR: ("population",),
            Role.NO_FACT: (
                "wikipediaArticle locationMap nearbyFeatures childrenFeatures neighbouringFeatures",
            ),
        },
    ),
    Vocabulary(
        "mesh",
        ("http://id.nlm.nih.gov/mesh/vocab#",),
        {
            Role.NAME: ("prefLabel",),
            Role.ALIAS: ("altLabel",),
            Role.DESCRIPTION: ("scopeNote",),
            Role.ALIAS_NODE: ("preferredConcept", "concept", "preferredTerm", "term"),
            Role.FURTHER_ID: ("identifier",),
            Role.NO_FACT: ("treeNumber",),
        },
    ),
    Vocabulary(
        "dbo",
        ("http://dbpedia.org/ontology/",),
        {
            Role.DESCRIPTION: {2: "abstract"},
            Role.REDIRECT: ("wikiPageRedirects",),
            Role.NO_FACT: (
                "wikiPageWikiLink wikiPageExternalLink wikiPageDisambiguates wikiPageUsesTemplate thumbnail "
                "wikiPageInterLanguageLink wikiPageWikiLinkText wikiPageLength",
            ),
        },
    ),
    Vocabulary(
        "dbp",
        ("http://dbpedia.org/property/",),
        {Role.NAME: {3: "name"}, Role.NO_FACT: ("wikiPageUsesTemplate image imageFlag imageMap",)},
    ),
    Vocabulary(
        "foaf",
        ("http://xmlns.com/foaf/0.1/",),
        {
            Role.NAME: {2: "name"},
            Role.ALIAS: ("nick",),
            Role.NO_FACT: (
                "depiction depicts homepage page img thumbnail logo isPrimaryTopicOf primaryTopic weblog mbox",
            ),
        },
    ),
    Vocabulary(
        "dct",
        ("http://purl.org/dc/terms/", "http://purl.org/dc/elements/1.1/"),
        {
            Role.NAME: {3: "title"},
            Role.ALIAS: ("alternative",),
            Role.DESCRIPTION: {2: "description"},
            Role.NO_FACT: ("license rights source contributor creator publisher conformsTo",),
        },
    ),
    Vocabulary("prov", ("http://www.w3.org/ns/prov#",), {}, Role.NO_FACT),
    Vocabulary("cc", ("http://creativecommons.org/ns#",), {}, Role.NO_FACT),
)  # fmt: skip

NO_TYPES = frozenset(
    {f"{OWL}{name}" for name in ("Class", "Thing", "NamedIndividual")}
    | {f"{RDFS}{name}" for name in ("Class", "Resource")}
    | {
        f"{SKOS}Concept",
        f"{WIKIBASE}Item",
        "http://rdf.freebase.com/ns/common.topic",
    }
    | {f"{schema}Thing" for schema in SCHEMA}
    | {f"{geonames}Feature" for geonames in GEONAMES}
)
"""Types without information, such as "named individual"."""
NO_ENTITIES = frozenset(
    {
        f"{OWL}{name}"
        for name in (
            "ObjectProperty", "DatatypeProperty", "AnnotationProperty", "FunctionalProperty", "TransitiveProperty",
            "SymmetricProperty", "InverseFunctionalProperty", "AsymmetricProperty", "IrreflexiveProperty",
            "ReflexiveProperty", "Ontology", "OntologyProperty", "Axiom", "Restriction", "AllDisjointClasses",
            "AllDifferent", "NegativePropertyAssertion", "Annotation",
        )
    }
    | {f"{RDF}{name}" for name in ("Property", "Statement", "List")}
    | {f"{RDFS}Datatype", f"{SKOS_XL}Label"}
    | {f"{SKOS}{name}" for name in ("ConceptScheme", "Collection", "OrderedCollection")}
    | {f"{WIKIBASE}{name}" for name in ("Property", "Statement", "Reference", "BestRank", "Dump")}
    | {f"{schema}Dataset" for schema in SCHEMA}
)  # fmt: skip
"""Types of resources that describe the structure of the graph and are not entities."""
LABELS = {
    SUBCLASS: "subclass of",
    f"{SKOS}broader": "broader",
    f"{SKOS}narrower": "narrower",
    f"{SKOS}related": "related",
}
"""Labels of relations that have none in the file."""
_FACT = Use(Role.FACT)


def _tables() -> tuple[dict[str, Use], list[tuple[str, Role]]]:
    uses: dict[str, Use] = {}
    others: list[tuple[str, Role]] = []
    for row in VOCABULARIES:
        for namespace in row.namespaces:
            for role, ranked in row.uses.items():
                for rank, names in ranked.items() if isinstance(ranked, Mapping) else enumerate(ranked):
                    uses |= {namespace + name: Use(role, rank) for name in names.split()}
            if row.others is not None:
                others.append((namespace, row.others))
    return uses, sorted(others, key=lambda pair: -len(pair[0]))


_USES, _OTHERS = _tables()


def use_of(iri: str) -> Use:
    """The use of a predicate."""
    found = _USES.get(iri)
    if found is not None:
        return found
    return next((Use(role) for namespace, role in _OTHERS if iri.startswith(namespace)), _FACT)


def compact(iri: str) -> str:
    """An IRI abbreviated with the prefix of its vocabulary ("rdfs:label"), or unchanged."""
    for row in VOCABULARIES:
        for namespace in row.namespaces:
            if iri.startswith(namespace) and len(iri) > len(namespace):
                return f"{row.prefix}:{iri[len(namespace) :]}"
    return iri


def curie(iri: str) -> str | None:
    """The short id of a term of an OBO ontology: ".../obo/DOID_162" → "DOID:162"; None for other IRIs."""
    space, underscore, number = iri.removeprefix(OBO).rpartition("_")
    if iri.startswith(OBO) and underscore and space and number and "/" not in space and "#" not in iri:
        return f"{space}:{number}"
    return None


def local_name(iri: str) -> str:
    """The readable last part of an IRI: ".../New_York%20City" → "New York City"."""
    trimmed = iri.rstrip("/#")
    end = max(trimmed.rfind("/"), trimmed.rfind("#"), -1 if "/" in trimmed else trimmed.rfind(":"))
    return unquote(trimmed[end + 1 :]).replace("_", " ").strip() or iri
