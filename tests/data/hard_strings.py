"""Strings on which tokenizers differ: made of the characters that their rules look at."""
import random

CLASSES = ["'s'T'LL'\u017fd'Re've'm", "0123456789\u00b2\u00bd\u0663", "\r\n\t \u00a0\u2028\u180e\u3000\u0085", "abcXYZ\u00e9\u00df",
           "\u0301\u0327\u0308\u0323\u0345\u0334", "\uac00\u1100\u1161\u11a8\ud55c", "日本語漢字かなカナ", "\U0001f600\U0001f44d\u200d\U0001f469",
           "!?.,;:-_()[]{}<>|/\\@#$%^&*~`\"", "हिन्दीไทย", "\u2126\u212b\u00c5\u0344\u0958\U0002f800\U0001d15e", "\u2581"]
HARD = ["", " ", "\n", "\n\n\nx", "a\n b\n\n  c\r\n\r\nd\n\te", "   leading and trailing   ", "I'm we'LL they'\u017f 'tis 'Twas don't",
        "1234567890 12 345,678.90", "e\u0301\u0327 \u0301 \u1100\u1161\u11a8 \u212b", "the theme, the the\u0301 \u00abthe\u00bb",
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>", "<|endoftext|>  <|endoftext|>\n x <|endoftext|>", "<|im_en<|im_end|>d|>",
        "<s> </s><unk><0x0A>", "\u2581\u2581 x \u2581", "<｜end▁of▁sentence｜>a<｜begin▁of▁sentence｜>", "<|begin_of_text|><|eot_id|> <think>",
        "\x00\x01\x7f\x80", "\ufeffbom", "x" * 3000, " " * 500 + "y", "ab " * 400, "\u0301" * 200]


def random_strings(count, seed):
    """Runs of characters of one class each, side by side."""
    draw = random.Random(seed)
    strings = []
    for _ in range(count):
        length, text = draw.choice([2, 3, 5, 8, 13, 21, 40]), ""
        while len(text) < length:
            pool = draw.choice(CLASSES)
            text += "".join(draw.choice(pool) for _ in range(draw.randint(1, 4)))
        strings.append(text)
    return strings
