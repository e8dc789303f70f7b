/**
 * Reads the entry of a track that describes its sound: first its own fields, and then the configuration of the codec,
 * which is the only place where many writers tell the true rate and channels (ISO 14496-12 and -14, QuickTime).
 */
import { type Box, boxesIn, find } from "./boxes.ts"
import { u16, u32 } from "./byteSource.ts"
import { count, type Fields, known, positive } from "./recordValues.ts"

/** What a coding is known for by its name alone, in QuickTime, MP4 and AIFF-C. */
interface Coding {
  readonly lossless: boolean
  /** Where music-metadata has another one. */
  readonly name?: string
  /** Bits of a sample, where the field for them holds 16 whatever the coding is. */
  readonly bits?: number
  /** Samples of a packet, where a file counts packets. */
  readonly perPacket?: number
}

const listed = (names: string, coding: Coding): ReadonlyArray<readonly [string, Coding]> =>
  names.split(",").map((name) => [name, coding])

const codings: ReadonlyMap<string, Coding> = new Map([
  ...listed("NONE,twos,sowt,raw ,lpcm,ipcm,fpcm,alac,fLaC,mlpa,dtsl", { lossless: true }),
  ...listed("in24", { lossless: true, bits: 24 }),
  ...listed("in32,fl32,FL32", { lossless: true, bits: 32 }),
  ...listed("fl64,FL64", { lossless: true, bits: 64 }),
  ...listed("alaw,ALAW", { lossless: false, bits: 8, name: "A-law 2:1" }),
  ...listed("ulaw,ULAW", { lossless: false, bits: 8 }),
  ...listed("ima4", { lossless: false, bits: 4, perPacket: 64 }),
  ...listed("MAC3,MAC6", { lossless: false, perPacket: 6 }),
  ...listed("GSM ,agsm", { lossless: false, perPacket: 160 }),
  ...listed("mp4a,.mp3,ac-3,ec-3,Opus,samr,sawb,QDMC,QDM2,Qclp,dtsc,dtsh,dtse", { lossless: false })
])

/** What is known of a coding by its name. */
export const codingOf = (name: string): Partial<Coding> => codings.get(name) ?? {}

/** Takes numbers of some bits, one behind the other. */
const bitsOf = (bytes: Uint8Array) => {
  let at = 0
  return (length: number): number => {
    let value = 0
    for (const end = at + length; at < end; at++) value = value * 2 + (((bytes[at >> 3] ?? 0) >> (7 - at % 8)) & 1)
    return value
  }
}

const aacRates = [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350]
const aacChannels = [undefined, 1, 2, 3, 4, 5, 6, 8]

/** Configuration of AAC: replication of bands gives another rate, and parameters give a second channel. */
const ofAac = (config: Uint8Array): Fields => {
  const take = bitsOf(config)
  const objectType = () => {
    const type = take(5)
    return type === 31 ? 32 + take(6) : type
  }
  const rate = () => {
    const index = take(4)
    return index === 15 ? take(24) : aacRates[index]
  }
  const type = objectType()
  const sampleRate = rate()
  const channels = aacChannels[take(4)]
  return {
    sampleRate: type === 5 || type === 29 ? rate() : sampleRate,
    channels: type === 29 && channels === 1 ? 2 : channels
  }
}

/** Content of the descriptor of MPEG-4 that has this tag. */
const descriptor = (bytes: Uint8Array, tag: number): Uint8Array => {
  for (let at = 0; at + 2 <= bytes.length;) {
    const found = bytes[at]
    let length = 0
    do length = length * 128 + ((bytes[++at] ?? 0) & 127)
    while ((bytes[at] ?? 0) >= 128)
    at += 1
    if (found === tag) return bytes.subarray(at, at + length)
    at += length
  }
  return new Uint8Array(0)
}

/** Kinds of objects that are AAC. */
const aacObjects = new Set([0x40, 0x66, 0x67, 0x68])

const ac3Rates = [48_000, 44_100, 32_000]
const ac3Channels = [2, 1, 2, 3, 3, 4, 4, 5]

/** Channels of AC-3: how the main ones are laid out, and whether there is one for low frequencies. */
const ac3ChannelsOf = (layout: number, low: number): number => (ac3Channels[layout] ?? 0) + low

/** What configurations of codecs say, by the box that each is in. */
const configurations: Readonly<Record<string, (bytes: Uint8Array) => Fields>> = {
  esds: (bytes) => {
    const decoder = descriptor(descriptor(bytes.subarray(4), 3).subarray(3), 4)
    const configuration = descriptor(decoder.subarray(13), 5)
    return aacObjects.has(decoder[0] ?? 0) && configuration.length > 0 ? ofAac(configuration) : {}
  },
  dfLa: (bytes) => {
    // Behind two heads, the sizes of blocks and of frames.
    const take = bitsOf(bytes.subarray(18))
    return { sampleRate: take(20), channels: take(3) + 1, bitsPerSample: take(5) + 1 }
  },
  dOps: (bytes) => ({ channels: bytes[1] }),
  alac: (bytes) => ({ bitsPerSample: bytes[9], channels: bytes[13], sampleRate: u32(bytes, 24) }),
  dac3: (bytes) => {
    const take = bitsOf(bytes)
    const sampleRate = ac3Rates[take(2)]
    take(8)
    return { sampleRate, channels: ac3ChannelsOf(take(3), take(1)) }
  },
  dec3: (bytes) => {
    const take = bitsOf(bytes.subarray(2))
    const sampleRate = ac3Rates[take(2)]
    take(10)
    const channels = ac3ChannelsOf(take(3), take(1))
    take(3)
    // Channels of dependent streams are left to the entry.
    return { sampleRate, channels: take(4) === 0 ? channels : undefined }
  },
  pcmC: (bytes) => ({ bitsPerSample: bytes[5] }),
  srat: (bytes) => ({ sampleRate: u32(bytes, 4) })
}

const ofBox = ({ content, type }: Box): Fields => configurations[type]?.(content) ?? {}

/** Numbers that there are. Zero stands where nothing is known. */
const numbersOf = ({ bitsPerSample, channels, sampleRate }: Fields): Fields =>
  known({ sampleRate: positive(sampleRate), channels: count(channels), bitsPerSample: count(bitsPerSample) })

/** Own fields of an entry, and where the boxes in it begin. The second version of QuickTime has fields of its own. */
const ownFields = (content: Uint8Array, type: string, isQuickTime: boolean): readonly [Fields, number] => {
  const version = isQuickTime ? u16(content, 8) : 0
  if (version === 2 && content.length >= 64) {
    const sampleRate = Buffer.from(content).readDoubleBE(32)
    return [{ sampleRate, channels: u32(content, 40), bitsPerSample: u32(content, 48) }, 64]
  }
  // All bits of the rate stand before the point, but for this one codec.
  const sampleRate = type === "mlpa" ? u32(content, 24) : u32(content, 24) / 65_536
  return [{ sampleRate, channels: u16(content, 16), bitsPerSample: u16(content, 18) }, version === 1 ? 44 : 28]
}

/** What the first entry of a table says of a sound. Where no rate is told, that of the track's clock is the rate. */
export const ofSoundEntry = (table: Uint8Array, clockRate: number): Fields => {
  const [entry] = boxesIn(table.subarray(8))
  if (entry === undefined || entry.content.length < 28) return {}
  const { content, type } = entry
  // A table of version 1 has entries of version 1 that are as those of version 0.
  const [own, headBytes] = ownFields(content, type, table[0] === 0)
  const inner = boxesIn(content.subarray(headBytes))
  // QuickTime puts them into a box of their own.
  const boxes = [...inner, ...boxesIn(find(inner, "wave")?.content ?? new Uint8Array(0))]
  const { bits, lossless, name } = codingOf(type)
  return Object.assign(
    { audioCodec: name, lossless },
    ...[{ sampleRate: clockRate }, own, { bitsPerSample: bits }, ...boxes.map(ofBox)].map(numbersOf)
  )
}
