# The check of rules between the values of bridge.yaml. `common/bridge_yaml/rules.py` has the same rules. These rules skip values
# that bridge_values.tf refuses.

locals {
  _looker  = try(local.bridge.looker, null)
  _pigment = try(local.bridge.pigment, null)

  _jobs = concat(
    [for name, job in local.pulls : { path = "pulls.${name}", name = name, settings = job }],
    [for name, job in local.relays : { path = "relays.${name}", name = name, settings = job }],
    [for name, job in local.exports : { path = "exports.${name}", name = name, settings = job }],
  )
  _targets = [
    for job in local._jobs : {
      path          = "${job.path}.target"
      configuration = lower(job.settings.target.configuration)
      shared        = try(job.settings.target.shared, false) == true
    } if can(lower(job.settings.target.configuration))
  ]
  # The objects that jobs write to Cloud Storage: exports, and files for Pigment's own connector.
  _objects = [
    for job in local._jobs : {
      path   = job.path
      object = jsonencode([try(job.settings.target.bucket, job.settings.bucket, ""), try(job.settings.target.path, job.settings.path)])
    } if can(tostring(coalesce(try(job.settings.target.path, job.settings.path))))
  ]
  _secrets_used = compact([
    try(local._looker.credentials, ""), try(local._pigment.import_key, ""), try(local._pigment.export_key, ""), try(local.bridge.webhook.token, ""),
  ])

  # Looker's headers by pull, and Pigment's headers by path. The columns are a mapping or a list of pairs.
  _looker_headers = {
    for name, pull in local.pulls : name =>
    try(keys(pull.target.columns), flatten([for pair in pull.target.columns : keys(pair)]), [])
  }
  _pigment_headers = {
    for job in local._jobs : "${job.path}.target.columns" =>
    try(values(job.settings.target.columns), flatten([for pair in job.settings.target.columns : values(pair)]), [])
    if can(job.settings.target.columns)
  }

  _pull_paths   = [for name in keys(local.pulls) : "pulls.${name}"]
  _relay_paths  = [for name in keys(local.relays) : "relays.${name}"]
  _export_paths = [for name in keys(local.exports) : "exports.${name}"]
  _import_paths = concat(local._pull_paths, [for name, job in local.relays : "relays.${name}" if can(job.target)])
  _settings_of_jobs = [
    { path = "looker.url", given = can(local._looker.url) || can(local._looker.host), jobs = local._pull_paths, advice = "the URL of your Looker instance" },
    { path = "looker.credentials", given = can(local._looker.credentials), jobs = local._pull_paths, advice = "the name of the secret with Looker's API key" },
    { path = "pigment.import_key", given = can(local._pigment.import_key), jobs = local._import_paths, advice = "the name of the secret with an Import key" },
    { path = "pigment.export_key", given = can(local._pigment.export_key), jobs = local._export_paths, advice = "the name of the secret with an Export key" },
    { path = "webhook.token", given = can(local.bridge.webhook.token), jobs = local._relay_paths, advice = "the name of the secret with Looker's webhook token" },
  ]

  _rule_faults = concat(
    [
      for rule in [
        { path = "looker", broken = can(local._looker.url) && can(local._looker.host), problem = "has both url and host; write one of them" },
        { path = "looker", broken = can(local._looker.port) && can(local._looker.region), problem = "has both port and region; write one of them" },
        { path = "looker.port", broken = can(local._looker.port) && !can(local._looker.host), problem = "is only allowed with host; write host too, or everything in url" },
        { path = "looker.region", broken = can(local._looker.region) && !can(local._looker.host), problem = "is only allowed with host; write host too, or everything in url" },
      ] : "${rule.path}: ${rule.problem}" if rule.broken
    ],
    [
      for setting in local._settings_of_jobs : "${setting.path}: is missing, but required by ${join(", ", slice(setting.jobs, 0, min(3, length(setting.jobs))))}${length(setting.jobs) > 3 ? " and ${length(setting.jobs) - 3} more" : ""}; write ${setting.advice}"
      if length(setting.jobs) > 0 && !setting.given
    ],
    flatten([
      for same in values({ for job in local._jobs : job.name => job.path... }) : [
        for path in slice(same, 1, length(same)) : "${path}: has the same name as ${same[0]}; write a unique name, because receipts are stored by job name"
      ]
    ]),
    [
      for name, job in local.relays : "relays.${name}.start: is not the name of a pull; write the name of a pull${length(local.pulls) > 0 ? ": ${join(", ", keys(local.pulls))}" : ", and add this pull"}"
      if can(tostring(job.start)) && !can(local.pulls[job.start])
    ],
    # This is only a warning in the functions, because a running bridge must not stop. A plan can stop without any loss.
    flatten([
      for same in values({ for target in local._targets : target.configuration => target... }) : [
        for target in slice(same, 1, length(same)) :
        "${target.path}.configuration: is also used by ${same[0].path}: the jobs wait for each other, and an import that clears deletes the rows of the other; write another configuration, or shared: true in both targets if this is intended"
        if !(same[0].shared && target.shared)
      ]
    ]),
    flatten([
      for job in local._jobs : [
        for key in ["bucket", "path"] : try(job.settings.target.via, "push") == "storage"
        ? "${job.path}.target.${key}: is missing, but via: storage needs it; write the ${key} that Pigment's connector reads"
        : "${job.path}.target.${key}: is only allowed with via: storage; write via: storage, or remove ${key}"
        if can(keys(job.settings.target)) && (try(job.settings.target.via, "push") == "storage") != can(job.settings.target[key])
      ]
    ]),
    [
      for job in local._jobs : "${job.path}.load.incremental.overlap: sends rows twice, but the target is not repeatable; write target.repeatable: true if rows can safely be sent twice, or remove overlap"
      if can(job.settings.load.incremental.overlap) && try(job.settings.target.repeatable, false) == false
    ],
    flatten([
      for job in local._jobs : [
        for key in ["window", "overlap", "delay"] :
        "${job.path}.load.incremental.${key}: does not match start; write a number if start is a number, or a duration such as 1 day if start is a date or time"
        if can(regex("^\\s*-?[0-9]{1,15}\\s*$", job.settings.load.incremental.start)) != can(regex("^\\s*[0-9]+( *(?i:numbers?))?\\s*$", job.settings.load.incremental[key]))
        && can(tostring(job.settings.load.incremental[key])) && can(tostring(job.settings.load.incremental.start))
      ]
    ]),
    [
      for job in local._jobs : "${job.path}.load.incremental: needs a field to filter by, but a resource has no fields; write load: full or changes"
      if can(job.settings.load.incremental) && can(job.settings.source.resource)
    ],
    [
      for job in local._jobs : "${job.path}.source.limit: would cut every window of an incremental load; write load: full, or limit: all"
      if can(job.settings.load.incremental) && try(job.settings.source.limit == "look", false)
    ],
    [
      for job in local._jobs : "${job.path}.source.explore.fields: is empty; write at least one item"
      if try(length(job.settings.source.explore.fields) == 0, false)
    ],
    [
      for job in local._jobs : "${job.path}.load.changes.key: is empty; write at least one item"
      if try(length(job.settings.load.changes.key) == 0, false)
    ],
    [
      for job in local._jobs : "${job.path}.load.changes.key: has a column twice; write each column once"
      if try(length(job.settings.load.changes.key) != length(distinct([for column in job.settings.load.changes.key : tostring(column)])), false)
    ],
    [
      for name, pull in local.pulls : "pulls.${name}.load.changes.key: has a column that is not in target.columns; write Looker's headers of columns that are sent, or add the column to target.columns"
      if try(length(local._looker_headers[name]) > 0 && length(setsubtract([for column in pull.load.changes.key : tostring(column)], local._looker_headers[name])) > 0, false)
    ],
    [
      for name, job in local.exports : "exports.${name}.fallback: is never used, because only a view can be too big; write a view as source, or remove fallback"
      if can(job.fallback) && can(keys(job.source)) && !can(job.source.view)
    ],
    [
      for name, job in local.exports : "exports.${name}.compress: is not allowed with parquet, which is always compressed; write format: csv, or remove compress"
      if can(job.compress) && try(job.format, "csv") == "parquet"
    ],
    flatten([
      for same in values({ for object in local._objects : object.object => object.path... }) : [
        for path in slice(same, 1, length(same)) : "${path}: writes the same object as ${same[0]}; write a unique path"
      ]
    ]),
    [
      for node in local._known : "${node.path}: has more than one pair; write one pair for each column"
      if can(regex("/columns/\\[\\]$", join("/", node.place))) && try(length(node.value) != 1, false)
    ],
    [
      for node in local._known : "${node.path}: gives two columns the same header; write a different header for each column"
      if node.entry.kind == "columns" && try(length(local._pigment_headers[node.path]) != length(distinct(local._pigment_headers[node.path])), false)
    ],
    [
      for node in local._known : "${node.path}.source_id: is required for every type except ScenarioField; write the ID of the dimension or metric, or ScenarioField without it"
      if can(regex("^exports/.*/fields/\\[\\]$", join("/", node.place))) && try((node.value.type == "ScenarioField") == can(node.value.source_id), false)
    ],
    [
      for name in try(keys(local.bridge.secrets), []) : "secrets.${name}: is not the name of a secret in looker, pigment or webhook; write the same name as there"
      if !contains(local._secrets_used, name)
    ],
  )
}
