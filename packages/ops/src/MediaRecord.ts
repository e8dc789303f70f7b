/**
 * Tells of a photo, a sound or a film what its file says of it: one form for all kinds of files.
 *
 * What a file does not say is not there: nothing is guessed, and no time is given a zone that it has not.
 */
import * as Schema from "effect/Schema"

/**
 * Most characters of one text, and most texts of one list. What is more is cut off: a row of a job holds all of it.
 *
 * @category models
 */
export const limits = { textLength: 4096, listLength: 256, rawLength: 65_536 } as const

const text = Schema.optionalKey(Schema.String)
const texts = Schema.optionalKey(Schema.Array(Schema.String))
const number = Schema.optionalKey(Schema.Finite)
const natural = Schema.optionalKey(Schema.Natural)

/**
 * Schema for what a file says of itself.
 *
 * **Details**
 *
 * Times are ISO 8601: of the place where the photo was taken, with the offset from UTC (`+02:00`, `Z`) if the file has
 * one, and without where it has none. They may be as coarse as a year.
 *
 * Texts are as they stand in the file, control characters included, without blanks at their ends.
 *
 * @category schemas
 */
export const MediaRecord = Schema.Struct({
  /** What kind of file it is, by its first bytes, such as `image/jpeg`. */
  mimeType: Schema.String,
  sizeBytes: Schema.Natural,

  /** Pixels in a row as they are stored: before `orientation` is applied. */
  width: natural,
  /** Rows of pixels as they are stored. */
  height: natural,
  /** How the picture is to be turned, as EXIF counts it: 1 is upright, 3 upside down, 6 and 8 lie on a side. */
  orientation: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 8 }))),

  /** When it was taken or recorded. */
  takenAt: text,
  /** When it was changed last, by what the file says: not the time of the file system. */
  modifiedAt: text,
  /** When the container of a film or sound was written. By its standard it is in UTC; some cameras put local time. */
  encodedAt: text,

  /** Who made the camera. */
  cameraMake: text,
  cameraModel: text,
  lensModel: text,
  /** Program that wrote the file. */
  software: text,
  /** How long the shutter was open, in seconds. */
  exposureSeconds: number,
  /** Focal length divided by the diameter of the aperture. */
  fNumber: number,
  /** Sensitivity, by ISO 12232. */
  iso: number,
  /** In millimetres. */
  focalLength: number,
  /** In millimetres, of a lens on 35 mm film that shows as much. */
  focalLengthIn35mm: number,
  /** Whether the flash fired. */
  flash: Schema.optionalKey(Schema.Boolean),

  /** In degrees of WGS 84, south of the equator below 0. */
  latitude: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: -90, maximum: 90 }))),
  /** In degrees of WGS 84, west of Greenwich below 0. */
  longitude: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: -180, maximum: 180 }))),
  /** In metres above the sea, below it less than 0. */
  altitude: number,
  /** When the place was known, in UTC. */
  gpsAt: text,

  title: text,
  description: text,
  /** Who made it: photographers, musicians, authors. */
  artists: texts,
  copyright: text,
  keywords: texts,
  /** Stars, from 0 to 5; -1 for what is rejected. */
  rating: Schema.optionalKey(Schema.Finite.check(Schema.isBetween({ minimum: -1, maximum: 5 }))),

  /** In seconds. */
  duration: number,
  /** Form that the streams are packed in, as it calls itself. */
  container: text,
  audioCodec: text,
  videoCodec: text,
  /** Mean bits per second of the sound. */
  bitrate: number,
  /** Samples per second. */
  sampleRate: number,
  /** Channels of sound. */
  channels: natural,
  /** Of one sample of one channel. */
  bitsPerSample: natural,
  /** Whether the sound is coded without loss. */
  lossless: Schema.optionalKey(Schema.Boolean),
  /** Pictures per second. */
  frameRate: number,
  /** How many pixels wide a film is seen, where its pixels are not square; before `orientation` is applied. */
  displayWidth: natural,
  displayHeight: natural,

  album: text,
  albumArtist: text,
  composers: texts,
  genres: texts,
  /** When it was published: a year or a date. */
  releasedAt: text,
  track: natural,
  trackCount: natural,
  disc: natural,
  discCount: natural,

  /** What of the file is broken or was left out. All else is what could be read. */
  problems: texts,

  /** All tags as the file has them, by where they stand, if these were asked for. Of long bytes there is how many. */
  raw: Schema.optionalKey(Schema.JsonObject)
})
export type MediaRecord = typeof MediaRecord.Type
