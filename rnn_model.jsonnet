// A recurrent guesser. Called with the [params] of config/rnn.toml, one point of the grid at a time.
//
//   lr, dropout        learning rate of Adam; dropout on word vectors, between layers and before the classifier
//   hidden_dim         units of the GRU in each direction
//   n_hidden_layers    GRU layers
//   debug              one epoch on a few questions, to see whether everything runs
function(
  lr,
  dropout,
  hidden_dim,
  n_hidden_layers,
  embedding_dim=64,
  sentences='all',
  batch_size=16,
  num_epochs=15,
  patience=5,
  data='package:quiz.json',
  debug=false,
  random_seed=13370,
  numpy_seed=1337,
  pytorch_seed=133
) {
  local reader(fold, sentences) = {
    type: 'qanta',
    folds: [fold],
    sentences: sentences,
    max_tokens: 200,
    tokenizer: 'letters_digits',
    token_indexers: { tokens: { type: 'single_id', lowercase_tokens: true } },
    [if debug then 'max_instances']: 64,
  },

  dataset_reader: reader('guesstrain', sentences),
  // The folds lie in one file, so validation needs a reader that looks at its own fold.
  validation_dataset_reader: reader('guessdev', 'all'),
  train_data_path: data,
  validation_data_path: data,
  // Words that only validation questions use have no trained vector; they share the one for unknown words.
  datasets_for_vocab_creation: ['train'],
  vocabulary: { min_count: { tokens: 2 } },

  model: {
    type: 'rnn_guesser',
    text_field_embedder: { token_embedders: { tokens: { type: 'embedding', embedding_dim: embedding_dim } } },
    encoder: {
      type: 'gru',
      input_size: embedding_dim,
      hidden_size: hidden_dim,
      num_layers: n_hidden_layers,
      bidirectional: true,
      // torch warns when there is no second layer for this to act on
      dropout: if n_hidden_layers > 1 then dropout else 0.0,
    },
    dropout: dropout,
  },

  data_loader: { batch_sampler: { type: 'bucket', batch_size: batch_size, sorting_keys: ['text'] } },
  validation_data_loader: { batch_size: 64, shuffle: false },

  trainer: {
    optimizer: { type: 'adam', lr: lr },
    num_epochs: if debug then 1 else num_epochs,
    patience: patience,
    validation_metric: '+accuracy',
    grad_norm: 5.0,
    learning_rate_scheduler: { type: 'reduce_on_plateau', mode: 'max', factor: 0.5, patience: 2 },
    checkpointer: { keep_most_recent_by_count: 1 },
  },

  random_seed: random_seed,
  numpy_seed: numpy_seed,
  pytorch_seed: pytorch_seed,
}
