/**
 * Reads times as ISO 8601, as coarse as they stand in a file, and with the zone that stands there, if one does.
 */

const pad = (value: number | string): string => String(value).padStart(2, "0")

const isDate = (year: string, month: string, day: string): boolean => {
  const [y, m, d] = [Number(year), Number(month), Number(day)]
  return y > 0 && m >= 1 && m <= 12 && d >= 1 && d <= new Date(Date.UTC(2000 + y % 400, m, 0)).getUTCDate()
}

const isZone = (zone: string): boolean => /^(?:Z|[+-](?:0\d|1[0-4]):[0-5]\d)$/.test(zone)

/** Time of EXIF: `2024:05:01 12:30:00`, with fractions of its second and the offset from UTC as it has them. */
export const ofExif = (time: unknown, fraction?: unknown, zone?: unknown): string | undefined => {
  const match = /^(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d:\d\d:\d\d)/.exec(typeof time === "string" ? time : "")
  if (match === null) return undefined
  const [digits] = /^\d{1,9}/.exec(typeof fraction === "string" ? fraction : "") ?? []
  const offset = typeof zone === "string" ? zone.trim() : ""
  const date = match.slice(1, 4).join("-")
  return ofIso(`${date}T${match[4]}${digits === undefined ? "" : `.${digits}`}${isZone(offset) ? offset : ""}`)
}

/** Time of XMP and others: ISO 8601, of which the year is enough. */
export const ofIso = (time: unknown): string | undefined => {
  if (typeof time !== "string") return undefined
  const form = /^(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?\d*)?(Z|[+-]\d\d:?\d\d)?)?)?)?$/
  const match = form.exec(time.trim())
  const [, year = "", month, day, hour, minute = "", second, fraction = "", zone = ""] = match ?? []
  if (match === null || !isDate(year, month ?? "01", day ?? "01")) return undefined
  const date = [year, month, day].filter((part) => part !== undefined).join("-")
  if (hour === undefined) return date
  // The last second of a leap day is 60.
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second ?? 0) > 60) return undefined
  const offset = /^[+-]\d{4}$/.test(zone) ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone
  const time2 = `${date}T${hour}:${minute}${second === undefined ? "" : `:${second}${fraction}`}`
  return `${time2}${isZone(offset) ? offset : ""}`
}

/** Date and time of IPTC: `20240501` and `123000+0200`. */
export const ofIptc = (date: unknown, time: unknown): string | undefined => {
  const day = typeof date === "string" ? /^(\d{4})[:-]?(\d\d)[:-]?(\d\d)$/.exec(date) : null
  if (day === null) return undefined
  const iso = day.slice(1).join("-")
  const clock = typeof time === "string" ? /^(\d\d):?(\d\d):?(\d\d)([+-]\d\d:?\d\d)?$/.exec(time) : null
  return ofIso(clock === null ? iso : `${iso}T${clock.slice(1, 4).join(":")}${clock[4] ?? ""}`)
}

/** Time of GPS, which is UTC: `2024:05:01`, and hours, minutes and seconds. */
export const ofGps = (date: unknown, time: unknown): string | undefined => {
  if (typeof date !== "string" || !Array.isArray(time)) return undefined
  const [hour, minute, second] = time.map(Number)
  if (hour === undefined || minute === undefined || second === undefined || !(second >= 0)) return undefined
  return ofExif(`${date.trim()} ${pad(hour)}:${pad(minute)}:${pad(Math.floor(second))}`, undefined, "Z")
}

/** A moment, in UTC. Containers can name some from before there were any of them: these stand for none. */
export const ofMoment = (moment: Date | undefined): string | undefined => {
  if (moment === undefined || !(moment.getTime() > 0) || moment.getUTCFullYear() > 9999) return undefined
  return moment.toISOString().replace(".000Z", "Z")
}
