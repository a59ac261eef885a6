"""A hundred of CUB-200-2011's species, cut tightly to the bird: half the dataset.

Its images go by their numbers in CUB-200-2011, and all images of these species are in it.
"""

from __future__ import annotations

from dataclasses import replace

from nogs_bench.images import Label, Splits
from nogs_bench.tasks.families.cub import CUB, CubFolder
from nogs_bench.tasks.task import (
    Annotation,
    AvpTraining,
    Pretraining,
    TrainingProtocol,
    register_task,
)

FAMILY = "cub-100"
ANNOTATED = 1_000
SPLITS = Splits(train=2_599, validation=400, test=2_903, avp_validation=400)

_NAMES = """
Black_footed_Albatross Groove_billed_Ani Parakeet_Auklet Red_winged_Blackbird
Yellow_headed_Blackbird Bobolink Indigo_Bunting Lazuli_Bunting Painted_Bunting Spotted_Catbird
Gray_Catbird Chuck_will_Widow Red_faced_Cormorant Bronzed_Cowbird Brown_Creeper
Gray_crowned_Rosy_Finch Purple_Finch Scissor_tailed_Flycatcher Vermilion_Flycatcher Gadwall
American_Goldfinch European_Goldfinch Eared_Grebe Horned_Grebe Pied_billed_Grebe Western_Grebe
Blue_Grosbeak Evening_Grosbeak Pine_Grosbeak Rose_breasted_Grosbeak Pigeon_Guillemot
Glaucous_winged_Gull Heermann_Gull Ivory_Gull Anna_Hummingbird Ruby_throated_Hummingbird
Rufous_Hummingbird Green_Violetear Blue_Jay Green_Jay Tropical_Kingbird Belted_Kingfisher
Green_Kingfisher Pied_Kingfisher White_breasted_Kingfisher Horned_Lark Pacific_Loon Mallard
Western_Meadowlark Hooded_Merganser Red_breasted_Merganser Clark_Nutcracker
White_breasted_Nuthatch Baltimore_Oriole Hooded_Oriole Orchard_Oriole Scott_Oriole Brown_Pelican
White_Pelican Whip_poor_Will Horned_Puffin American_Redstart Geococcyx Black_throated_Sparrow
Fox_Sparrow Henslow_Sparrow Le_Conte_Sparrow White_crowned_Sparrow Cape_Glossy_Starling
Barn_Swallow Tree_Swallow Scarlet_Tanager Summer_Tanager Black_capped_Vireo Blue_headed_Vireo
Bay_breasted_Warbler Black_and_white_Warbler Cape_May_Warbler Cerulean_Warbler
Chestnut_sided_Warbler Golden_winged_Warbler Magnolia_Warbler Mourning_Warbler Nashville_Warbler
Prairie_Warbler Wilson_Warbler Worm_eating_Warbler Louisiana_Waterthrush Bohemian_Waxwing
Cedar_Waxwing American_Three_toed_Woodpecker Pileated_Woodpecker Red_bellied_Woodpecker
Red_cockaded_Woodpecker Red_headed_Woodpecker Downy_Woodpecker Cactus_Wren Carolina_Wren Rock_Wren
Common_Yellowthroat
"""
SPECIES = tuple(_NAMES.split())
EPOCH = SPLITS.train // 64

SOURCE = CubFolder(
    dataset=FAMILY,
    channels=3,
    image_size=128,
    labels=1,
    splits=("train", "validation", "test", "avp_validation"),
    how=(
        "CUB-200-2011's images may not be redistributed: get CUB_200_2011 from Caltech "
        "(docs/photographs.md), run nogs-bench prepare cub-100, then give --data DIR"
    ),
)

CUB_100 = register_task(
    replace(
        CUB,
        name=FAMILY,
        version=1,
        family=FAMILY,
        description="100 species of birds, cut to their boxes at 128 x 128, five 32 x 32 glimpses; "
        "the images may not be redistributed",
        labels=(Label("species", SPECIES),),
        splits=SPLITS,
        source=SOURCE,
        training=replace(CUB.training, supervised=ANNOTATED, evaluation_period=EPOCH),
        protocols=(
            TrainingProtocol(
                "pretrained",
                iterations=200 * EPOCH,
                target_accuracy=0.5,
                pretraining=Pretraining(
                    iterations=250 * EPOCH,
                    learning_rate=5e-5,
                    evaluation_period=EPOCH,
                    glimpses="heuristic",
                ),
            ),
        ),
        avp=AvpTraining(
            "local:32k8s8-64k3s1p1-256",
            epochs=60,
            learning_rate=1e-3,
            warmup=0.3,
            mirrored=True,
        ),
        annotation=Annotation(
            images=ANNOTATED,
            reserved=ANNOTATED,
            bank_images=400,
            criterion="cross-entropy",
            samples=200,
            components=0,
            effective_samples=100.0,
            mirrored=True,
            observed="sample",
        ),
        reference={},
    )
)
