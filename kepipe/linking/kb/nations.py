"""English demonyms: adjectives and inhabitants of countries, regions and cities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

NATIONS: Mapping[str, str] = {
    "Afghanistan": "Afghan", "Africa": "African", "Albania": "Albanian", "Algeria": "Algerian",
    "Andorra": "Andorran", "Angola": "Angolan", "Argentina": "Argentine Argentinian", "Armenia": "Armenian",
    "Asia": "Asian", "Australia": "Australian", "Austria": "Austrian", "Azerbaijan": "Azerbaijani",
    "Bahamas": "Bahamian", "Bahrain": "Bahraini", "Bangladesh": "Bangladeshi", "Barbados": "Barbadian",
    "Bavaria": "Bavarian", "Belarus": "Belarusian", "Belgium": "Belgian", "Belize": "Belizean",
    "Benin": "Beninese", "Bhutan": "Bhutanese", "Bolivia": "Bolivian", "Bosnia and Herzegovina": "Bosnian",
    "Botswana": "Botswanan", "Brazil": "Brazilian", "Brunei": "Bruneian", "Bulgaria": "Bulgarian",
    "Burkina Faso": "Burkinabe", "Burundi": "Burundian", "Cambodia": "Cambodian", "Cameroon": "Cameroonian",
    "Canada": "Canadian", "Cape Verde": "Cape_Verdean", "Catalonia": "Catalan", "Chad": "Chadian",
    "Chile": "Chilean", "China": "Chinese", "Colombia": "Colombian", "Comoros": "Comorian",
    "Costa Rica": "Costa_Rican", "Croatia": "Croatian", "Cuba": "Cuban", "Cyprus": "Cypriot",
    "Democratic Republic of the Congo": "Congolese", "Djibouti": "Djiboutian", "Eswatini": "Swazi",
    "Dominica": "Dominican", "Liechtenstein": "Liechtensteiner", "Republic of the Congo": "Congolese",
    "South Sudan": "South_Sudanese", "Swaziland": "Swazi", "Vanuatu": "Vanuatuan",
    "Czech Republic": "Czech", "Czechia": "Czech", "Czechoslovakia": "Czechoslovak Czechoslovakian",
    "Denmark": "Danish Dane", "Dominican Republic": "Dominican", "East Germany": "East_German",
    "East Timor": "East_Timorese", "Ecuador": "Ecuadorian", "Egypt": "Egyptian",
    "El Salvador": "Salvadoran Salvadorian", "England": "English", "Equatorial Guinea": "Equatoguinean",
    "Eritrea": "Eritrean", "Estonia": "Estonian", "Ethiopia": "Ethiopian", "Europe": "European", "Fiji": "Fijian",
    "Finland": "Finnish Finn", "France": "French", "Gabon": "Gabonese", "Gambia": "Gambian", "Georgia": "Georgian",
    "Germany": "German", "Ghana": "Ghanaian", "Greece": "Greek", "Greenland": "Greenlandic Greenlander",
    "Grenada": "Grenadian", "Guatemala": "Guatemalan", "Guinea": "Guinean", "Guyana": "Guyanese",
    "Haiti": "Haitian", "Honduras": "Honduran", "Hungary": "Hungarian", "Iceland": "Icelandic", "India": "Indian",
    "Indonesia": "Indonesian", "Iran": "Iranian", "Iraq": "Iraqi", "Ireland": "Irish", "Israel": "Israeli",
    "Italy": "Italian", "Ivory Coast": "Ivorian", "Jamaica": "Jamaican", "Japan": "Japanese",
    "Jordan": "Jordanian", "Kazakhstan": "Kazakh", "Kenya": "Kenyan", "Kosovo": "Kosovar", "Kuwait": "Kuwaiti",
    "Kyrgyzstan": "Kyrgyz", "Laos": "Laotian", "Latvia": "Latvian", "Lebanon": "Lebanese", "Lesotho": "Basotho",
    "Liberia": "Liberian", "Libya": "Libyan", "Lithuania": "Lithuanian", "Luxembourg": "Luxembourgish",
    "Madagascar": "Malagasy", "Malawi": "Malawian", "Malaysia": "Malaysian", "Maldives": "Maldivian",
    "Mali": "Malian", "Malta": "Maltese", "Mauritania": "Mauritanian", "Mauritius": "Mauritian",
    "Mexico": "Mexican", "Moldova": "Moldovan", "Monaco": "Monegasque", "Mongolia": "Mongolian",
    "Montenegro": "Montenegrin", "Morocco": "Moroccan", "Mozambique": "Mozambican", "Myanmar": "Burmese",
    "Namibia": "Namibian", "Nepal": "Nepalese", "Netherlands": "Dutch", "New Zealand": "New_Zealander",
    "Nicaragua": "Nicaraguan", "Niger": "Nigerien", "Nigeria": "Nigerian", "North America": "North_American",
    "North Korea": "North_Korean", "North Macedonia": "Macedonian", "Northern Ireland": "Northern_Irish",
    "Norway": "Norwegian", "Oman": "Omani", "Ottoman Empire": "Ottoman", "Pakistan": "Pakistani",
    "Palestine": "Palestinian", "Panama": "Panamanian", "Papua New Guinea": "Papua_New_Guinean",
    "Paraguay": "Paraguayan", "People's Republic of China": "Chinese", "Peru": "Peruvian",
    "Philippines": "Filipino", "Poland": "Polish Pole", "Portugal": "Portuguese", "Prussia": "Prussian",
    "Puerto Rico": "Puerto_Rican", "Qatar": "Qatari", "Republic of Ireland": "Irish", "Romania": "Romanian",
    "Russia": "Russian", "Rwanda": "Rwandan", "Samoa": "Samoan", "Saudi Arabia": "Saudi Saudi_Arabian",
    "Scotland": "Scottish", "Senegal": "Senegalese", "Serbia": "Serbian", "Sicily": "Sicilian",
    "Sierra Leone": "Sierra_Leonean",
    "Singapore": "Singaporean", "Slovakia": "Slovak", "Slovenia": "Slovenian Slovene", "Somalia": "Somali",
    "South Africa": "South_African", "South America": "South_American", "South Korea": "South_Korean",
    "Soviet Union": "Soviet", "Spain": "Spanish Spaniard", "Sri Lanka": "Sri_Lankan", "Sudan": "Sudanese",
    "Suriname": "Surinamese", "Sweden": "Swedish Swede", "Switzerland": "Swiss", "Syria": "Syrian",
    "Taiwan": "Taiwanese", "Tajikistan": "Tajik", "Tanzania": "Tanzanian", "Thailand": "Thai", "Tibet": "Tibetan",
    "Togo": "Togolese", "Tonga": "Tongan", "Trinidad and Tobago": "Trinidadian", "Tunisia": "Tunisian",
    "Turkey": "Turkish Turk", "Turkmenistan": "Turkmen", "Uganda": "Ugandan", "Ukraine": "Ukrainian",
    "United Arab Emirates": "Emirati", "United Kingdom": "British", "United States": "American",
    "Uruguay": "Uruguayan", "Uzbekistan": "Uzbek", "Venezuela": "Venezuelan", "Vietnam": "Vietnamese",
    "Wales": "Welsh", "West Germany": "West_German", "Yemen": "Yemeni", "Yugoslavia": "Yugoslav Yugoslavian",
    "Zambia": "Zambian", "Zimbabwe": "Zimbabwean",
    # Regions, cities and empires.
    "Alaska": "Alaskan", "Alsace": "Alsatian", "Athens": "Athenian", "Berlin": "Berliner", "Boston": "Bostonian",
    "Brittany": "Breton", "Byzantine Empire": "Byzantine", "California": "Californian",
    "Chechnya": "Chechen", "Chicago": "Chicagoan", "Corsica": "Corsican", "Crete": "Cretan", "Dalmatia": "Dalmatian",
    "Eurasia": "Eurasian", "Flanders": "Flemish", "Florence": "Florentine", "Florida": "Floridian",
    "Hawaii": "Hawaiian", "Himalayas": "Himalayan", "Kurdistan": "Kurdish", "Latin America": "Latin_American",
    "London": "Londoner", "Manchester": "Mancunian", "Mughal Empire": "Mughal", "Naples": "Neapolitan",
    "New England": "New_Englander", "New York City": "New_Yorker", "Oceania": "Oceanian",
    "Paris": "Parisian", "Quebec": "Quebecer", "Roman Empire": "Roman", "Rome": "Roman", "Sardinia": "Sardinian",
    "Saxony": "Saxon", "Scandinavia": "Scandinavian", "Siberia": "Siberian", "Silesia": "Silesian", "Sparta": "Spartan",
    "Texas": "Texan", "Transylvania": "Transylvanian", "Tuscany": "Tuscan", "Tyrol": "Tyrolean", "Venice": "Venetian",
    "Vienna": "Viennese",
}  # fmt: skip
"""State, region, city or continent → its adjectives and inhabitants in the singular; `_` stands for a space."""
_NO_PLURAL = ("sh", "ese", "French", "Dutch", "ss", "gasy", "otho", "Soviet")


def _forms(adjectives: str) -> Iterator[str]:
    """Adjectives and inhabitants of a place, in singular and plural."""
    for adjective in adjectives.split():
        singular = adjective.replace("_", " ")
        yield singular
        if not singular.endswith(_NO_PLURAL):
            yield f"{singular}s"


DEMONYMS = frozenset(form for adjectives in NATIONS.values() for form in _forms(adjectives))
"""All demonyms, in singular and plural."""


def demonyms(names: Sequence[str]) -> Iterator[str]:
    """The demonyms of the entity with these `names`, its label first.

    An alias counts too ("Scotland" of Kingdom of Scotland, "United States" of United States of America), unless the
    label continues it other than by "of": Kuwait City and England national football team have no demonyms.
    """
    label = names[0]
    for name in filter(NATIONS.__contains__, names):
        if label.startswith(f"{name} ") and not label.startswith(f"{name} of "):
            continue
        yield from _forms(NATIONS[name])
