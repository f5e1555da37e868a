"""Names that GeoNames' country table lacks: common names of countries, and names of languages by ISO 639 code."""

from __future__ import annotations

COUNTRY_ALIASES: dict[str, tuple[str, ...]] = {
    "Cabo Verde": ("Cape Verde",),
    "China": ("People's Republic of China", "PRC", "中国", "中华人民共和国"),
    "Czechia": ("Czech Republic",),
    "Democratic Republic of the Congo": ("Congo-Kinshasa", "DR Congo", "DRC", "Zaire"),
    "Egypt": ("埃及",),
    "Eswatini": ("Swaziland",),
    "France": ("French Republic", "法国"),
    "Germany": ("Deutschland", "Federal Republic of Germany", "德国"),
    "India": ("Republic of India", "印度"),
    "Iran": ("Islamic Republic of Iran", "Persia"),
    "Ireland": ("Republic of Ireland",),
    "Italy": ("Italia", "意大利"),
    "Ivory Coast": ("Cote d'Ivoire", "Côte d'Ivoire"),
    "Japan": ("日本",),
    "Macao": ("Macau",),
    "Micronesia": ("Federated States of Micronesia",),
    "Myanmar": ("Burma",),
    "North Korea": ("DPRK", "Democratic People's Republic of Korea"),
    "North Macedonia": ("Macedonia", "Republic of Macedonia"),
    "Palestinian Territory": ("Palestine", "State of Palestine", "Palestinian territories"),
    "Republic of the Congo": ("Congo-Brazzaville",),
    "Reunion": ("Réunion",),
    "Russia": ("Russian Federation", "俄罗斯"),
    "Sao Tome and Principe": ("São Tomé and Príncipe",),
    "South Korea": ("Korea", "Republic of Korea", "韩国"),
    "Spain": ("España", "西班牙"),
    "Syria": ("Syrian Arab Republic",),
    "Taiwan": ("Republic of China", "台湾"),
    "The Netherlands": ("Holland", "Netherlands"),
    "Timor Leste": ("East Timor", "Timor-Leste"),
    "Turkey": ("Türkiye",),
    "United Arab Emirates": ("UAE",),
    "United Kingdom": ("Britain", "Great Britain", "U.K.", "UK", "英国"),
    "United States": ("America", "U.S.", "U.S.A.", "US", "USA", "United States of America", "美国"),
    "Vatican": ("Holy See", "Vatican City"),
    "Vietnam": ("Viet Nam",),
}

_NOT_NAMES = """
colon Colon dong pound Pound rand Rand real Real sol Sol won Won
Center Central Centre City Downtown East North Saint Santa South That There This Town Village West
"""
NOT_NAMES = frozenset(_NOT_NAMES.split())
"""Excluded aliases: as names of currencies or places they would mostly match common words."""

_TABLE = """
aa Afar|af Afrikaans|ak Akan|am Amharic|ar Arabic|as Assamese|ay Aymara|az Azerbaijani|be Belarusian|bg Bulgarian
bi Bislama|bm Bambara|bn Bengali|br Breton|bs Bosnian|ca Catalan|ce Chechen|ceb Cebuano|ch Chamorro|co Corsican
cs Czech|cv Chuvash|cy Welsh|da Danish|de German|dv Dhivehi|dz Dzongkha|ee Ewe|el Greek|en English|es Spanish
et Estonian|eu Basque|fa Persian|ff Fula|fi Finnish|fil Filipino|fj Fijian|fo Faroese|fr French|fy Frisian|ga Irish
gd Gaelic|gl Galician|gn Guarani|gu Gujarati|gv Manx|ha Hausa|hak Hakka|haw Hawaiian|he Hebrew|hi Hindi
hr Croatian|ht Haitian Creole|hu Hungarian|hy Armenian|id Indonesian|ig Igbo|is Icelandic|it Italian|iu Inuktitut
ja Japanese|jv Javanese|ka Georgian|kg Kongo|kk Kazakh|kl Greenlandic|km Khmer|kn Kannada|ko Korean|kok Konkani
ks Kashmiri|ku Kurdish|ky Kyrgyz|la Latin|lb Luxembourgish|lg Ganda|ln Lingala|lo Lao|lt Lithuanian|lv Latvian
mg Malagasy|mh Marshallese|mi Maori|mk Macedonian|ml Malayalam|mn Mongolian|mr Marathi|ms Malay|mt Maltese
my Burmese|na Nauruan|nb Bokmål|nd Ndebele|ne Nepali|nl Dutch|nn Nynorsk|no Norwegian|ny Chewa|oc Occitan
om Oromo|or Odia|pa Punjabi|pap Papiamento|pau Palauan|pl Polish|ps Pashto|pt Portuguese|qu Quechua|rm Romansh
rn Kirundi|ro Romanian|rom Romani|ru Russian|rw Kinyarwanda|sa Sanskrit|sat Santali|sc Sardinian|sd Sindhi|se Sami
sg Sango|si Sinhala|sk Slovak|sl Slovene|sm Samoan|sn Shona|so Somali|sq Albanian|sr Serbian|ss Swazi|st Sotho
sv Swedish|sw Swahili|ta Tamil|te Telugu|tet Tetum|tg Tajik|th Thai|ti Tigrinya|tk Turkmen|tl Tagalog|tn Tswana
to Tongan|tpi Tok Pisin|tr Turkish|ts Tsonga|tt Tatar|tvl Tuvaluan|ty Tahitian|ug Uyghur|uk Ukrainian|ur Urdu
uz Uzbek|ve Venda|vi Vietnamese|wo Wolof|xh Xhosa|yo Yoruba|yue Cantonese|za Zhuang|zh Chinese|zu Zulu
"""

LANGUAGES: dict[str, str] = {
    code: name
    for code, _, name in (entry.partition(" ") for entry in _TABLE.replace("\n", "|").split("|") if entry)
}
"""ISO 639 code → English name of the language."""
