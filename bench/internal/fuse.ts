// A server of the protocol in which Linux asks a program for files: version 7.31 of `linux/fuse.h`, which any kernel
// from 5.4 on speaks. Requests are read from `/dev/fuse` and answers are written to it, each in one piece, in the byte
// order of the machine; that is taken to be little-endian.
import * as fs from "node:fs"
import { constants } from "node:os"

const { ENODEV, ENOSYS } = constants.errno

/** What kernels ask for, by the numbers they use. */
export const opcodes = {
  lookup: 1,
  forget: 2,
  getattr: 3,
  setattr: 4,
  readlink: 5,
  symlink: 6,
  mknod: 8,
  mkdir: 9,
  unlink: 10,
  rmdir: 11,
  rename: 12,
  link: 13,
  open: 14,
  read: 15,
  write: 16,
  statfs: 17,
  release: 18,
  fsync: 20,
  flush: 25,
  init: 26,
  opendir: 27,
  readdir: 28,
  releasedir: 29,
  fsyncdir: 30,
  access: 34,
  create: 35,
  interrupt: 36,
  batchForget: 42,
  rename2: 45,
  tmpfile: 51
} as const

export interface Request {
  /** Number of the file or folder that is asked about. */
  readonly node: number
  readonly uid: number
  readonly gid: number
  /** What follows the header. Holds until the handler returns. */
  readonly body: Buffer
}

/**
 * Gives the body of an answer, or the number of an error; 0 is none. Who asks for what is `undefined` waits for ever.
 * Numbers without a handler are refused.
 */
export type Handlers = Readonly<Record<number, (request: Request) => Buffer | number | undefined>>

/** Most bytes that the kernel reads or writes in one request. */
export const maxBytes = 2 ** 17

const headerBytes = 40
const answerHeaderBytes = 16
/** As many threads wait for requests, so that one is always there to read while another one hands its own over. */
const readers = 2

// The kernel doesn't wait for an answer to these.
const unanswered: ReadonlySet<number> = new Set([opcodes.forget, opcodes.batchForget, opcodes.interrupt])

/** Says what this server can do. Nothing that would spare the kernel a request is among it. */
const init = ({ body }: Request): Buffer => {
  const [asyncRead, bigWrites, parallelFolders, maxPages] = [1 << 0, 1 << 5, 1 << 18, 1 << 22]
  const answer = Buffer.alloc(64)
  answer.writeUInt32LE(7, 0)
  answer.writeUInt32LE(31, 4)
  answer.writeUInt32LE(Math.min(maxBytes, body.readUInt32LE(8)), 8) // max_readahead
  answer.writeUInt32LE((asyncRead | bigWrites | parallelFolders | maxPages) & body.readUInt32LE(12), 12)
  answer.writeUInt16LE(64, 16) // max_background
  answer.writeUInt16LE(48, 18) // congestion_threshold
  answer.writeUInt32LE(maxBytes, 20) // max_write
  answer.writeUInt32LE(1, 24) // time_gran, in nanoseconds
  answer.writeUInt16LE(maxBytes / 4096, 28) // max_pages
  return answer
}

/** Writes an answer. The request may be gone by then, with the process that made it. */
const answerTo = (device: number, unique: Buffer, answer: Buffer | number): void => {
  const body = typeof answer === "number" ? Buffer.alloc(0) : answer
  const header = Buffer.alloc(answerHeaderBytes)
  header.writeUInt32LE(answerHeaderBytes + body.length, 0)
  header.writeInt32LE(typeof answer === "number" ? -answer : 0, 4)
  unique.copy(header, 8)
  try {
    fs.writevSync(device, [header, body])
  } catch (error) {
    if (!(error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ENODEV"))) {
      throw error
    }
  }
}

/** Calls functions when a time has passed, never earlier: Node's own timers count in whole milliseconds, and round. */
const delayedBy = (millis: number) => {
  const waiting: Array<{ readonly due: number; readonly run: () => void }> = []
  const runDue = (): void => {
    while (waiting[0] !== undefined && waiting[0].due <= performance.now()) waiting.shift()?.run()
    if (waiting[0] !== undefined) setTimeout(runDue, Math.ceil(waiting[0].due - performance.now()))
  }
  return (run: () => void): void => {
    waiting.push({ due: performance.now() + millis, run })
    if (waiting.length === 1) setTimeout(runDue, Math.ceil(millis))
  }
}

/** Answers each request some time after it came, those that come meanwhile too, until the file system is unmounted. */
export const serve = (device: number, handlers: Handlers, delayMillis: number): void => {
  const all: Handlers = { ...handlers, [opcodes.init]: init }
  const later = delayMillis === 0 ? (run: () => void): void => run() : delayedBy(delayMillis)

  const handle = (message: Buffer): void => {
    const opcode = message.readUInt32LE(4)
    const handler = all[opcode] ?? ((): number => ENOSYS)
    const answer = handler({
      node: message.readUInt32LE(16),
      uid: message.readUInt32LE(24),
      gid: message.readUInt32LE(28),
      body: message.subarray(headerBytes)
    })
    if (answer === undefined || unanswered.has(opcode)) return
    const unique = Buffer.from(message.subarray(8, 16))
    later(() => answerTo(device, unique, answer))
  }

  const listen = (buffer: Buffer): void =>
    fs.read(device, buffer, 0, buffer.length, null, (error, length) => {
      if (error?.errno === -ENODEV) return
      if (error === null) handle(buffer.subarray(0, length))
      listen(buffer)
    })
  for (let i = 0; i < readers; i++) listen(Buffer.alloc(maxBytes + 4096))
}
