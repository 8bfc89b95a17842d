// The words of an update (abi UpdateScalars), which is a buffer of words, binding 1: one's, or kTensorWords apart one per segment.
layout(binding = 1) readonly buffer Update { uint update_words[]; };

// those of which `first` is the first word
UpdateScalars words_from(uint first) {
  return UpdateScalars(uintBitsToFloat(update_words[first]), uintBitsToFloat(update_words[first + 1u]),
                       uintBitsToFloat(update_words[first + 2u]), uintBitsToFloat(update_words[first + 3u]), update_words[first + 4u],
                       update_words[first + 5u], update_words[first + 6u], update_words[first + 7u], update_words[first + 8u],
                       update_words[first + 9u]);
}

// by_segment: block is one of the segment's, counted in the whole
UpdateScalars words_of_update(uint by_segment, Segments segments, uint block) {
  return words_from(by_segment != 0u ? segment_of(segments, block) * kTensorWords : 0u);
}
