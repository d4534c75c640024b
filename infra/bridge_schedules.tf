# The schedules that Cloud Scheduler takes: unix-cron, five fields; `common/bridge_yaml/cron.py` has the same rules.

locals {
  _cron_fields = [
    { name = "minute", first = 0, last = 59, words = [] },
    { name = "hour", first = 0, last = 23, words = [] },
    { name = "day of the month", first = 1, last = 31, words = [] },
    { name = "month", first = 1, last = 12, words = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"] },
    { name = "day of the week", first = 0, last = 7, words = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] },
  ]
  _longest_month_days = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

  # 5, 05 and names, each with what it counts for.
  _cron_values = [
    for field in local._cron_fields : merge(
      { for value in range(field.first, field.last + 1) : tostring(value) => value },
      { for value in range(field.first, field.last + 1) : format("%02d", value) => value },
      { for place, word in field.words : word => field.first + place },
    )
  ]

  _schedules = {
    for at in local._leaves : at.path => compact(split(" ", replace(at.text, "/\\s+/", " ")))
    if at.entry.kind == "Cron" && at.shape == "text" && trimspace(at.text) != ""
  }
  # For each field of each schedule, its spans; `null` in the place of one that is none.
  _spans = {
    for path, parts in local._schedules : path => [
      for place, field in local._cron_fields : [
        for item in split(",", parts[place]) : try(
          [
            for found in [regex("^([^-/]+)(?:-([^-/]+))?(?:/([0-9]{1,2}))?$", replace(item, "/^\\*(\\/|$)/", "${field.first}-${field.last}$1"))] : {
              low  = local._cron_values[place][found[0]]
              high = local._cron_values[place][coalesce(found[1], found[0])]
              step = tonumber(coalesce(found[2], "1"))
            }
            if found[2] == null || found[1] != null
          ][0],
          null
        )
      ]
    ] if length(parts) == length(local._cron_fields)
  }
  _wrong_fields = {
    for path, fields in local._spans : path => [
      for place, spans in fields : local._cron_fields[place]
      if !alltrue([for span in spans : try(span.low <= span.high && span.step >= 1 && span.step <= local._cron_fields[place].last, false)])
    ]
  }

  _cron_faults = concat(
    [
      for path, parts in local._schedules : "${path}: has ${length(parts)} fields, not 5 (minute, hour, day of the month, month, day of the week); write five fields of unix-cron, such as \"15 6 * * *\" for 6:15 every day"
      if length(parts) != length(local._cron_fields)
    ],
    flatten([
      for path, fields in local._wrong_fields : [
        for field in fields : "${path}: the ${field.name} is no value, range or step within ${field.first}-${field.last}; write *, a number, 1-5, 1,15 or */5${length(field.words) > 0 ? ", or names such as ${field.words[1]}" : ""}"
      ]
    ]),
    [
      for path, fields in local._spans : "${path}: never comes round: none of its months has such a day; write a day that one of them has"
      if length(local._wrong_fields[path]) == 0 && local._schedules[path][4] == "*"
      && try(min([for span in fields[2] : span.low]...) > max(flatten([for span in fields[3] : [for month in range(span.low, span.high + 1, span.step) : local._longest_month_days[month - 1]]])...), false)
    ],
  )
}
