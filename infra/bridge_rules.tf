# What bridge.yaml must say between one value and another; `common/bridge_yaml/rules.py` has the same rules. A value that is
# not sound is named elsewhere, and left alone here.

locals {
  _looker  = try(local.bridge.looker, null)
  _pigment = try(local.bridge.pigment, null)

  _jobs = concat(
    [for name, job in local.pulls : { path = "pulls.${name}", name = name, job = job }],
    [for name, job in local.relays : { path = "relays.${name}", name = name, job = job }],
    [for name, job in local.exports : { path = "exports.${name}", name = name, job = job }],
  )
  _targets = [
    for at in local._jobs : {
      path          = "${at.path}.target"
      configuration = lower(at.job.target.configuration)
      shared        = try(at.job.target.shared, false) == true
    } if can(lower(at.job.target.configuration))
  ]
  # What a run writes beside Pigment: exports, and files for Pigment's own connector.
  _files = [
    for at in local._jobs : {
      path   = at.path
      object = jsonencode([try(at.job.target.bucket, at.job.bucket, ""), try(at.job.target.path, at.job.path)])
    } if can(tostring(coalesce(try(at.job.target.path, at.job.path))))
  ]
  _secrets_used = compact([
    try(local._looker.credentials, ""), try(local._pigment.import_key, ""), try(local._pigment.export_key, ""), try(local.bridge.webhook.token, ""),
  ])

  # Looker's headers and Pigment's, of a mapping or of a list of pairs.
  _columns = {
    for name, pull in local.pulls : name =>
    try(keys(pull.target.columns), flatten([for pair in pull.target.columns : keys(pair)]), [])
  }
  _headers = {
    for at in local._jobs : "${at.path}.target.columns" =>
    try(values(at.job.target.columns), flatten([for pair in at.job.target.columns : values(pair)]), [])
    if can(at.job.target.columns)
  }

  _pull_paths    = keys({ for name, job in local.pulls : "pulls.${name}" => job })
  _relay_paths   = keys({ for name, job in local.relays : "relays.${name}" => job })
  _export_paths  = keys({ for name, job in local.exports : "exports.${name}" => job })
  _landing_paths = concat(local._pull_paths, [for name, job in local.relays : "relays.${name}" if can(job.target)])
  _needs = [
    { path = "looker.url", given = can(local._looker.url) || can(local._looker.host), jobs = local._pull_paths, write = "the address of your Looker instance" },
    { path = "looker.credentials", given = can(local._looker.credentials), jobs = local._pull_paths, write = "the name of the secret with Looker's API key" },
    { path = "pigment.import_key", given = can(local._pigment.import_key), jobs = local._landing_paths, write = "the name of the secret with an Import key" },
    { path = "pigment.export_key", given = can(local._pigment.export_key), jobs = local._export_paths, write = "the name of the secret with an Export key" },
    { path = "webhook.token", given = can(local.bridge.webhook.token), jobs = local._relay_paths, write = "the name of the secret with Looker's webhook token" },
  ]

  _rule_faults = concat(
    [
      for rule in [
        { path = "looker", broken = can(local._looker.url) && can(local._looker.host), wrong = "holds both url and host", write = "one of them" },
        { path = "looker", broken = can(local._looker.port) && can(local._looker.region), wrong = "holds both port and region", write = "one of them: an instance has either" },
        { path = "looker.port", broken = can(local._looker.port) && !can(local._looker.host), wrong = "only goes with host", write = "host, or an url that holds it all" },
        { path = "looker.region", broken = can(local._looker.region) && !can(local._looker.host), wrong = "only goes with host", write = "host, or an url that holds it all" },
      ] : "${rule.path}: ${rule.wrong}; write ${rule.write}" if rule.broken
    ],
    [
      for need in local._needs : "${need.path}: is missing, and ${join(", ", slice(need.jobs, 0, min(3, length(need.jobs))))}${length(need.jobs) > 3 ? " and ${length(need.jobs) - 3} more" : ""} cannot do without it; write ${need.write}"
      if length(need.jobs) > 0 && !need.given
    ],
    flatten([
      for same in values({ for at in local._jobs : at.name => at.path... }) : [
        for path in slice(same, 1, length(same)) : "${path}: has the name of ${same[0]}; write a name of its own: receipts are kept by it"
      ]
    ]),
    [
      for name, job in local.relays : "relays.${name}.start: names no pull; write one of the pulls: ${join(", ", keys(local.pulls))}"
      if can(tostring(job.start)) && !can(local.pulls[job.start])
    ],
    # The functions only warn of it, for a bridge that runs must not stop; nothing is lost yet when a plan does.
    flatten([
      for same in values({ for at in local._targets : at.configuration => at... }) : [
        for at in slice(same, 1, length(same)) :
        "${at.path}.configuration: is that of ${same[0].path} too: they wait for each other, and a clearing import drops the other's rows; write a configuration of its own, or shared: true in both if that is meant"
        if !(same[0].shared && at.shared)
      ]
    ]),
    flatten([
      for at in local._jobs : [
        for key in ["bucket", "path"] : try(at.job.target.via, "push") == "storage"
        ? "${at.path}.target.${key}: is missing, and via: storage needs it; write where Pigment's connector reads"
        : "${at.path}.target.${key}: only goes with via: storage; write via: storage, or leave it out"
        if can(keys(at.job.target)) && (try(at.job.target.via, "push") == "storage") != can(at.job.target[key])
      ]
    ]),
    [
      for at in local._jobs : "${at.path}.load.incremental.overlap: sends rows a second time to a target that is not repeatable; write target.repeatable: true if that does no harm, or leave overlap out"
      if can(at.job.load.incremental.overlap) && try(at.job.target.repeatable, false) == false
    ],
    flatten([
      for at in local._jobs : [
        for key in ["window", "overlap", "delay"] :
        "${at.path}.load.incremental.${key}: is not of the kind of start; write numbers in both, or a date as start and a step such as 1 day here"
        if can(regex("^\\s*-?[0-9]{1,15}\\s*$", at.job.load.incremental.start)) != can(regex("^\\s*[0-9]+( *(?i:numbers?))?\\s*$", at.job.load.incremental[key]))
        && can(tostring(at.job.load.incremental[key])) && can(tostring(at.job.load.incremental.start))
      ]
    ]),
    [
      for at in local._jobs : "${at.path}.load.incremental: needs a field to filter, and a resource has none; write load: full or changes"
      if can(at.job.load.incremental) && can(at.job.source.resource)
    ],
    [
      for at in local._jobs : "${at.path}.source.explore.fields: is empty; write at least one"
      if try(length(at.job.source.explore.fields) == 0, false)
    ],
    [
      for at in local._jobs : "${at.path}.load.changes.key: is empty; write at least one"
      if try(length(at.job.load.changes.key) == 0, false)
    ],
    [
      for at in local._jobs : "${at.path}.load.changes.key: names a column twice; write each column once"
      if try(length(at.job.load.changes.key) != length(distinct([for column in at.job.load.changes.key : tostring(column)])), false)
    ],
    [
      for name, pull in local.pulls : "pulls.${name}.load.changes.key: names a column that target.columns leaves out; write columns that are sent, by Looker's names, or add it to target.columns"
      if try(length(local._columns[name]) > 0 && length(setsubtract([for column in pull.load.changes.key : tostring(column)], local._columns[name])) > 0, false)
    ],
    [
      for name, job in local.exports : "exports.${name}.fallback: is never used: only a view can be too big; write a view under source, or leave it out"
      if can(job.fallback) && can(keys(job.source)) && !can(job.source.view)
    ],
    [
      for name, job in local.exports : "exports.${name}.compress: does not go with parquet, which is compressed as it is; write nothing here"
      if can(job.compress) && try(job.format, "csv") == "parquet"
    ],
    flatten([
      for same in values({ for at in local._files : at.object => at.path... }) : [
        for path in slice(same, 1, length(same)) : "${path}: writes the same object as ${same[0]}; write a path of its own"
      ]
    ]),
    [
      for at in local._known : "${at.path}: is more than one pair; write one pair for each column"
      if can(regex("/columns/\\[\\]$", join("/", at.way))) && try(length(at.value) != 1, false)
    ],
    [
      for at in local._known : "${at.path}: gives two columns one header; write a header of its own for each"
      if at.entry.kind == "columns" && try(length(local._headers[at.path]) != length(distinct(local._headers[at.path])), false)
    ],
    [
      for at in local._known : "${at.path}.source_id: goes with every type but ScenarioField; write the dimension's or the metric's id"
      if can(regex("^exports/.*/fields/\\[\\]$", join("/", at.way))) && try((at.value.type == "ScenarioField") == can(at.value.source_id), false)
    ],
    [
      for name, care in try({ for name, care in local.bridge.secrets : name => care }, {}) : "secrets.${name}: is no secret that is used above; write the name as it stands there"
      if !contains(local._secrets_used, name)
    ],
  )
}
