import { assert, describe, it } from "@effect/vitest"
import type { MediaRecord } from "@fanout/ops/MediaRecord"
import * as mediaText from "../src/ui/mediaText.ts"

const record = (fields: Partial<MediaRecord>): MediaRecord => ({ mimeType: "image/jpeg", sizeBytes: 9, ...fields })

describe("mediaText", () => {
  it("says what there is, and no more", () => {
    assert.strictEqual(mediaText.summary(record({})), "jpeg")
    assert.strictEqual(
      mediaText.summary(record({ width: 3, height: 2, orientation: 1, cameraMake: "X", cameraModel: "Y" })),
      "jpeg, 3 × 2, X Y"
    )
    assert.strictEqual(
      mediaText.summary(record({ cameraMake: "NIKON CORPORATION", cameraModel: "NIKON Z 8" })),
      "jpeg, NIKON Z 8"
    )
    assert.strictEqual(mediaText.summary(record({ width: 3, latitude: 1, problems: ["a", "b"] })), "jpeg, 2 problems")
  })

  it("writes times of a shutter and of sounds as people know them", () => {
    const shutter = (exposureSeconds: number) => mediaText.summary(record({ exposureSeconds }))
    assert.deepStrictEqual(
      [0.008, 0.25, 0.3, 2.5].map(shutter),
      ["1/125 s", "1/4 s", "0.3 s", "2.5 s"].map((_) => `jpeg, ${_}`)
    )
    const length = (duration: number) => mediaText.summary(record({ duration }))
    assert.deepStrictEqual(
      [0.2, 59.6, 205, 3723].map(length),
      ["0:00", "1:00", "3:25", "1:02:03"].map((_) => `jpeg, ${_}`)
    )
  })

  it("lets nothing of a file reach a terminal", () => {
    assert.strictEqual(mediaText.summary(record({ title: "a\u001b[2J\n\u202eb" })), "jpeg, a\\x1b[2J\\n\\u202eb")
  })

  it("quotes cells of a table that would be taken for several, and no others", () => {
    const cells = (fields: Partial<MediaRecord>) => mediaText.csv("a b", record(fields))
    assert.match(mediaText.csvHeader, /^name,mimeType,sizeBytes,.*,problems\r\n$/)
    assert.match(cells({}), /^a b,image\/jpeg,9,,+\r\n$/)
    assert.strictEqual(cells({}).split(",").length, mediaText.csvHeader.split(",").length)
    assert.include(cells({ title: "a \"b\"" }), ",\"a \"\"b\"\"\",")
    assert.include(cells({ title: "a\rb" }), ",\"a\rb\",")
    assert.include(cells({ keywords: ["a", "b, c"], flash: false, raw: { a: 1 } }), ",\"a; b, c\",")
    assert.notInclude(cells({ raw: { secret: 1 } }), "secret")
  })
})
