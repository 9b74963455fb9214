"""Tiny random models of several kinds, each saved with a tokenizer that is trained here."""

from collections.abc import Callable
from pathlib import Path

import torch

TEXTS = [
    "Heat (1995). Genres: Action, Crime, Thriller.",
    "Toy Story (1995). Genres: Animation, Children's, Comedy.",
    "The Seventh Seal (1957). Genres: Drama.",
    "M (1931). Genres: Crime, Film-Noir, Thriller.",
    "A thief who makes one last score, and the detective who is after him, in a city of light and glass.",
    "Alien",
]

ModelFolder = Callable[[str], Path]
"""The folder of a saved model of a kind."""


def save_tokenizer(folder: Path, template: str | None) -> None:
    """Train a Unigram tokenizer. `template` adds special tokens, as in T5 and BERT."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()  # pyright: ignore[reportAttributeAccessIssue]
    marks = ["<pad>", "</s>", "<unk>", "<s>"]
    trainer = trainers.UnigramTrainer(vocab_size=150, special_tokens=marks, unk_token="<unk>")
    tokenizer.train_from_iterator(TEXTS * 5, trainer)
    if template is not None:
        ids = [(mark, tokenizer.token_to_id(mark)) for mark in marks]
        processor = processors.TemplateProcessing(single=template, special_tokens=ids)
        tokenizer.post_processor = processor  # pyright: ignore[reportAttributeAccessIssue]
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", bos_token="<s>"
    )
    fast.save_pretrained(folder)


def save_model(kind: str, folder: Path) -> None:
    """Save a model of a kind (t5, t5-full, bert, roberta, bart, gpt2) and its tokenizer."""
    import transformers as tf

    t5 = tf.T5Config(vocab_size=200, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    bert = tf.BertConfig(
        vocab_size=200,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    roberta = tf.RobertaConfig(**{**bert.to_diff_dict(), "model_type": "roberta"})
    bart = tf.BartConfig(
        vocab_size=200,
        d_model=16,
        encoder_layers=1,
        decoder_layers=1,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=64,
    )
    gpt2 = tf.GPT2Config(vocab_size=200, n_embd=16, n_layer=2, n_head=2, bos_token_id=3, eos_token_id=1)
    kinds = {
        "t5": (tf.T5EncoderModel, t5, "$A </s>"),
        "t5-full": (tf.T5ForConditionalGeneration, t5, "$A </s>"),
        "bert": (tf.BertModel, bert, "<s> $A </s>"),
        "roberta": (tf.RobertaModel, roberta, "<s> $A </s>"),
        "bart": (tf.BartModel, bart, "<s> $A </s>"),
        "gpt2": (tf.GPT2LMHeadModel, gpt2, None),
    }
    model_class, config, template = kinds[kind]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model_class(config).save_pretrained(folder)
    save_tokenizer(folder, template)
