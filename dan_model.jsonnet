// A deep averaging network. Called with the [params] of config/dan.toml, one point of the grid at a time.
//
//   lr                 learning rate of Adam
//   word_dropout       share of words left out of a question while training
//   hidden_dim         units of each hidden layer
//   n_hidden_layers    hidden layers
//   sentences          'each' trains on every prefix of a question, as the paper does; 'all' on whole questions
//   debug              one epoch on a few questions, to see whether everything runs
function(
  lr,
  word_dropout,
  hidden_dim,
  n_hidden_layers,
  dropout=0.2,
  embedding_dim=100,
  sentences='each',
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
    type: 'dan_guesser',
    text_field_embedder: { token_embedders: { tokens: { type: 'embedding', embedding_dim: embedding_dim } } },
    feedforward: {
      input_dim: embedding_dim,
      num_layers: n_hidden_layers,
      hidden_dims: hidden_dim,
      activations: 'relu',
      dropout: dropout,
    },
    word_dropout: word_dropout,
    dropout: 0.0,  // the last layer of the network above has its own
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
