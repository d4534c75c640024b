# The check of schedules: five fields of unix-cron, as Cloud Scheduler accepts them. `common/bridge_yaml/cron.py` has the same
# rules.

locals {
  _cron_fields = [
    { name = "minute", first = 0, last = 59, words = [] },
    { name = "hour", first = 0, last = 23, words = [] },
    { name = "day of the month", first = 1, last = 31, words = [] },
    { name = "month", first = 1, last = 12, words = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"] },
    { name = "day of the week", first = 0, last = 7, words = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"] },
  ]
  _longest_month_days = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

  # 5, 05 and names, each with its number.
  _cron_values = [
    for field in local._cron_fields : merge(
      { for value in range(field.first, field.last + 1) : tostring(value) => value },
      { for value in range(field.first, field.last + 1) : format("%02d", value) => value },
      { for place, word in field.words : word => field.first + place },
    )
  ]

  _schedules = {
    for node in local._single_values : node.path => compact(split(" ", replace(node.text, "/\\s+/", " ")))
    if node.entry.kind == "Cron" && node.type == "text" && trimspace(node.text) != ""
  }
  # The ranges in each field of each schedule; null where the text is not a range.
  _cron_ranges = {
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
  _invalid_cron_fields = {
    for path, fields in local._cron_ranges : path => [
      for place, ranges in fields : local._cron_fields[place]
      if !alltrue([for range in ranges : try(range.low <= range.high && range.step >= 1 && range.step <= local._cron_fields[place].last, false)])
    ]
  }

  _schedule_faults = concat(
    [
      for path, parts in local._schedules : "${path}: has ${length(parts)} fields, not 5 (minute, hour, day of the month, month, day of the week); write five fields of unix-cron, such as \"15 6 * * *\" for every day at 6:15"
      if length(parts) != length(local._cron_fields)
    ],
    flatten([
      for path, fields in local._invalid_cron_fields : [
        for field in fields : "${path}: the ${field.name} is not a value, range or step between ${field.first} and ${field.last}; write *, a number, 1-5, 1,15 or */5${length(field.words) > 0 ? ", or names such as ${field.words[1]}" : ""}"
      ]
    ]),
    [
      for path, fields in local._cron_ranges : "${path}: is never due, because none of its months has such a day; write a day that one of the months has"
      if length(local._invalid_cron_fields[path]) == 0 && local._schedules[path][4] == "*"
      && try(min([for range in fields[2] : range.low]...) > max(flatten([for months in fields[3] : [for month in range(months.low, months.high + 1, months.step) : local._longest_month_days[month - 1]]])...), false)
    ],
  )
}
