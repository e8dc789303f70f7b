import sharp from "sharp"

/** A picture with something in one corner, so that one sees how it is turned. No two seeds give the same file. */
export const picture = (width: number, height: number, seed = 0) =>
  sharp({ create: { width, height, channels: 3, background: "#004080" } })
    .withExif({ IFD0: { ImageDescription: String(seed) } })
    .composite([{
      input: { create: { width: width >> 1, height: height >> 1, channels: 3, background: "red" } },
      top: 0,
      left: 0
    }])

/** Frames one below the other, as sharp joins them. */
const frames = Promise.all(
  ["red", "green", "blue"].map((background) =>
    sharp({ create: { width: 600, height: 400, channels: 3, background } }).png().toBuffer()
  )
)

/** Files that are odd in some way, by their names. */
export const oddFiles = async (): Promise<Readonly<Record<string, Uint8Array>>> => {
  const jpeg = await picture(1600, 1200).jpeg().toBuffer()
  const joined = sharp(await frames, { join: { animated: true } })
  return {
    "photo.jpg": jpeg,
    "turned.jpg": await picture(1600, 1200).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    "small.png": await picture(300, 200).png().toBuffer(),
    "animated.gif": await joined.clone().gif({ delay: [100, 100, 100] }).toBuffer(),
    "pages.tiff": await joined.clone().tiff().toBuffer(),
    "cmyk.jpg": await picture(1600, 1200).toColourspace("cmyk").jpeg().toBuffer(),
    "deep.png": await picture(1600, 1200).toColourspace("rgb16").png().toBuffer(),
    "clear.png": await sharp({ create: { width: 1600, height: 900, channels: 4, background: "#0000" } }).png()
      .toBuffer(),
    "mislabelled.png": jpeg,
    "truncated.jpg": jpeg.subarray(0, jpeg.length / 2),
    "corrupt.png": Buffer.concat([Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), Buffer.alloc(500, 7)]),
    "huge.svg": Buffer.from("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"30000\" height=\"20000\"/>"),
    "empty.jpg": Buffer.alloc(0),
    "text.jpg": Buffer.from("no picture at all"),
    "notes.txt": Buffer.from("no picture at all"),
    "broken.mp4": Buffer.from("\0\0\0\x20ftypisom\0\0\0\0isomiso2avc1mp41", "latin1"),
    "broken.pdf": Buffer.from("%PDF-1.4\nnothing")
  }
}
