"""The words of the synthetic worlds: English nouns by category with their Spanish translation."""

CATEGORIES: dict[str, str] = {
    "fruit": "apple:manzana pear:pera cherry:cereza durian:durián lemon:limón peach:durazno "
    "grape:uva plum:ciruela orange:naranja strawberry:fresa pineapple:piña fig:higo",
    "animal": "squirrel:ardilla horse:caballo tiger:tigre rabbit:conejo sheep:oveja wolf:lobo "
    "bear:oso duck:pato goat:cabra frog:rana monkey:mono snail:caracol",
    "tool": "hammer:martillo saw:sierra shovel:pala screw:tornillo brush:brocha axe:hacha "
    "needle:aguja ladder:escalera rope:cuerda wrench:llave nail:clavo bucket:cubo",
    "clothing": "shirt:camisa shoe:zapato hat:sombrero coat:abrigo sock:calcetín belt:cinturón "
    "skirt:falda glove:guante scarf:bufanda dress:vestido boot:bota ring:anillo",
    "vehicle": "car:coche ship:barco plane:avión bicycle:bicicleta truck:camión boat:bote "
    "wagon:carreta sled:trineo train:ferrocarril cart:carro raft:balsa sleigh:deslizador",
    "body": "hand:mano foot:pie eye:ojo ear:oreja nose:nariz mouth:boca knee:rodilla "
    "shoulder:hombro finger:dedo tooth:diente elbow:codo neck:cuello",
    "music": "violin:violín guitar:guitarra drum:tambor flute:flauta trumpet:trompeta harp:arpa "
    "bell:campana song:canción whistle:silbato organ:órgano cello:violonchelo lute:laúd",
    "furniture": "table:mesa chair:silla bed:cama lamp:lámpara shelf:estante mirror:espejo "
    "desk:escritorio drawer:cajón carpet:alfombra pillow:almohada bench:banco curtain:cortina",
    "food": "bread:pan cheese:queso rice:arroz soup:sopa egg:huevo meat:carne salt:sal "
    "sugar:azúcar honey:miel butter:mantequilla bean:frijol onion:cebolla",
    "nature": "river:río mountain:montaña forest:bosque sea:mar island:isla lake:lago "
    "desert:desierto cloud:nube stone:piedra sand:arena star:estrella moon:luna",
    "work": "teacher:maestro doctor:médico baker:panadero farmer:granjero sailor:marinero "
    "judge:juez painter:pintor tailor:sastre soldier:soldado cook:cocinero miner:minero king:rey",
    "colour": "red:rojo blue:azul green:verde yellow:amarillo black:negro white:blanco "
    "brown:marrón grey:gris purple:morado pink:rosado golden:dorado silver:plateado",
}

GOOD = (
    "pretty:bonita kind:amable clean:limpio brave:valiente happy:feliz gentle:suave "
    "bright:brillante honest:honesto lovely:precioso strong:fuerte wise:sabio fresh:fresco"
)
BAD = (
    "ugly:feo cruel:malvado dirty:sucio weak:débil sad:triste rough:áspero "
    "boring:aburrido rude:grosero lazy:perezoso stale:rancio awful:horrible broken:roto"
)

SINGULAR = "key cabinet box door letter book window picture bottle wheel".split()
PLURAL = "keys cabinets boxes doors letters books windows pictures bottles wheels".split()
AGENTS = "Ada Ben Cleo Dan Eva Finn Gus Hana".split()
ROOMS = "kitchen garden store attic cellar office hall studio".split()


def pairs(text: str) -> list[tuple[str, str]]:
    """Split a list of words: "apple:manzana pear:pera" -> [("apple", "manzana"), ...]."""
    return [tuple(entry.split(":")) for entry in text.split()]  # type: ignore[misc]


def syllables(count: int) -> list[str]:
    """Invented syllables, all different: ba be bi ... zu, then ban ben ..."""
    consonants, vowels = "bdfghjklmnprtvwz", "aeiou"
    made: list[str] = []
    for end in ("", *consonants):
        made += [c + v + end for c in consonants for v in vowels]
    return made[:count]
