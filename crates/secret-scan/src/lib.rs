//! Did a secret get into the history or the tree?
