/**
 * Has other programs render what this one can't, where they are installed: a frame of a video, a page of a PDF.
 *
 * They get the file as one that is open: nothing is asked of a path, and nothing they are told can be taken for an
 * option or an address.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as FilePath from "../../FilePath.ts"
import type { FileStat } from "../../Files.ts"
import { toStat } from "../files/nodeCalls.ts"
import { failure } from "../files/openHandle.ts"
import { isChanged } from "../files/statComparison.ts"

/** Program that is not installed. */
export class NotInstalled extends Data.TaggedError("NotInstalled")<{ readonly program: string }> {}

/** Why there is no picture. */
class Refused extends Data.TaggedError("Refused")<{ readonly why: string }> {}

/** There is nothing to see in it. */
class NoPicture extends Data.TaggedError("NoPicture") {}

/** The file is another one by now. */
class Replaced extends Data.TaggedError("Replaced") {}

/** More is no picture of the size that was asked for. */
const maxOutputBytes = 2 ** 26
/** So much of what a program complains of is kept. */
const maxComplaintBytes = 2 ** 14

/** What opening fails with where something else has the path by now, or nothing. */
const gone = new Set(["ENOENT", "ENOTDIR", "ELOOP"])

/** Opens a file for others, by its path once more, and sees whether it is the same. */
const openAgain = Effect.fnUntraced(function*(path: FilePath.FilePath, before: FileStat) {
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants
  const descriptor = yield* Effect.acquireRelease(
    Effect.try({
      try: () => fs.openSync(Buffer.from(FilePath.toBytes(path)), O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
      catch: (error) => {
        const code = error instanceof Error && "code" in error ? String(error.code) : String(error)
        return gone.has(code) ? new Replaced() : failure("open", path, code)
      }
    }),
    (descriptor) => Effect.sync(() => fs.closeSync(descriptor))
  )
  const now = toStat(fs.fstatSync(descriptor, { bigint: true }))
  return isChanged(before, now) ? yield* new Replaced() : descriptor
})

/** Runs a program to its end. It is ended with whoever waits for it. */
const run = (program: string, args: ReadonlyArray<string>, input: number) =>
  Effect.callback<{ readonly output: Buffer; readonly complaint: string }, NotInstalled | Refused>((resume) => {
    // The folder that this process is in may be gone, which would look as if the program were.
    const child = spawn(program, args, { cwd: "/", stdio: [input, "pipe", "pipe"] })
    const chunks: Array<Buffer> = []
    let bytes = 0
    let complaint = ""
    child.stdout?.on("data", (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxOutputBytes) chunks.push(chunk)
      else child.kill("SIGKILL")
    })
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (complaint.length < maxComplaintBytes) complaint += text
    })
    child.on("error", ({ code, message }: NodeJS.ErrnoException) => {
      resume(Effect.fail(code === "ENOENT" ? new NotInstalled({ program }) : new Refused({ why: message })))
    })
    child.on("close", (_, signal) => {
      const why = bytes > maxOutputBytes ? "gives more than a picture of that size" : `was killed by ${signal}`
      resume(
        signal === null
          ? Effect.succeed({ output: Buffer.concat(chunks), complaint })
          : Effect.fail(new Refused({ why: `${program} ${why}` }))
      )
    })
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

const input = "/dev/fd/0"
const quiet = ["-hide_banner", "-nostdin", "-threads", "1"]
// What names other files, such as a manifest of DASH or a playlist, may begin as a video does: it must not be opened.
const formats = ["-format_whitelist", "mov,matroska,avi,flv,mpeg,mpegvideo,mpegts,asf,ogg"]

/** Seconds that a video lasts, as ffmpeg tells; 0 where it does not. */
const durationOf = (complaint: string): number => {
  const [, hours = 0, minutes = 0, seconds = 0] = /Duration: (\d+):(\d+):([\d.]+)/.exec(complaint) ?? []
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
}

/** Says that a program has ended without a picture, with the last thing that it complained of. */
const withoutPicture = (program: string, complaint: string): Refused =>
  new Refused({ why: `${program} makes no picture of it: ${complaint.trim().split("\n").at(-1)?.trim() ?? ""}` })

const frame = (descriptor: number, seconds: number, sidePixels: number) => {
  const side = `min(${sidePixels}\\,`
  // Pixels of a film need not be square, and those of a thumbnail are.
  const square = "scale=iw*max(1\\,sar):ih*max(1\\,1/sar)"
  const scale = `${square},scale=${side}iw):${side}ih):force_original_aspect_ratio=decrease`
  const from = [...quiet, "-loglevel", "error", "-ss", seconds.toFixed(3), ...formats, "-i", input, "-map", "0:v:0"]
  const to = ["-frames:v", "1", "-vf", scale, "-c:v", "png", "-f", "image2pipe", "pipe:1"]
  return run("ffmpeg", [...from, ...to], descriptor)
}

/** The picture of a video a tenth of its duration after its beginning, as a PNG. */
export const videoFrame = Effect.fnUntraced(function*(path: FilePath.FilePath, stat: FileStat, sidePixels: number) {
  const descriptor = yield* openAgain(path, stat)
  // Without an output it complains, but tells what it has read before.
  const { complaint } = yield* run("ffmpeg", [...quiet, ...formats, "-i", input], descriptor)
  let taken = yield* frame(descriptor, durationOf(complaint) / 10, sidePixels)
  // There may be no frame behind that place.
  if (taken.output.length === 0) taken = yield* frame(descriptor, 0, sidePixels)
  if (taken.output.length > 0) return taken.output
  if (/matches no streams/.test(taken.complaint)) return yield* new NoPicture()
  return yield* withoutPicture("ffmpeg", taken.complaint)
}, Effect.scoped)

/** The first page of a PDF, as a PNG. */
export const pdfPage = Effect.fnUntraced(function*(path: FilePath.FilePath, stat: FileStat, sidePixels: number) {
  const descriptor = yield* openAgain(path, stat)
  const args = ["-f", "1", "-l", "1", "-singlefile", "-png", "-scale-to", String(sidePixels), input]
  const { complaint, output } = yield* run("pdftoppm", args, descriptor)
  return output.length > 0 ? output : yield* withoutPicture("pdftoppm", complaint)
}, Effect.scoped)
