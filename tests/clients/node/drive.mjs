// One scenario with the official client for Node: node drive.mjs SCENARIO BASE_URL [KEY]
// What it saw goes to standard output as one JSON document; a failure ends with an exit code.
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

const [scenario, baseURL, apiKey = 'none'] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });

const messages = [{ role: 'user', content: 'Say hello.' }];
const plain = { model: 'plain', messages };
const asked = { model: 'plain', input: 'Say hello.' };
const parameters = {
  type: 'object',
  properties: { place: { type: 'string' } },
  required: ['place'],
  additionalProperties: false,
};
const tools = [{ type: 'function', function: { name: 'weather', parameters, strict: true } }];
const Greeting = z.object({ word: z.string() });

const textOf = (chunks) => chunks.map((c) => c.choices[0]?.delta.content ?? '').join('');

async function collected(stream) {
  const found = [];
  for await (const event of stream) found.push(event);
  return found;
}

async function failureOf(promise) {
  try {
    await promise;
  } catch (error) {
    const { status, code, param, type, requestID, message } = error;
    return { name: error.constructor.name, status, code, param, type, requestID, message };
  }
  throw new Error('the call succeeded');
}

const scenarios = {
  async chat() {
    const { data, response, request_id } = await client.chat.completions
      .create({ ...plain, headgate: { meta: true } })
      .withResponse();
    return {
      text: data.choices[0].message.content,
      usage: data.usage.total_tokens,
      request_id,
      own_id: data._request_id,
      cost: response.headers.get('x-headgate-cost-usd'),
      headgate: data.headgate,
    };
  },

  async stream() {
    const options = { include_usage: true };
    const stream = await client.chat.completions.create({
      ...plain,
      stream: true,
      stream_options: options,
      headgate: { meta: true },
    });
    const chunks = await collected(stream);
    return {
      text: textOf(chunks),
      usages: chunks.filter((c) => c.usage).map((c) => c.usage.total_tokens),
      headgate: chunks.at(-1).headgate,
    };
  },

  async helper() {
    const runner = client.chat.completions.stream(plain);
    let text = '';
    runner.on('content', (delta) => (text += delta));
    const final = await runner.finalChatCompletion();
    return { text, final: final.choices[0].message.content };
  },

  async tools() {
    const found = [];
    for (const model of ['plain', 'guarded']) {
      const body = { ...plain, model, tools };
      const whole = await client.chat.completions.create(body);
      const runner = client.chat.completions.stream(body);
      found.push(whole.choices[0], (await runner.finalChatCompletion()).choices[0]);
    }
    return found.map(({ finish_reason, message }) => ({
      finish_reason,
      calls: message.tool_calls.map((c) => [c.id, c.function.name, JSON.parse(c.function.arguments)]),
    }));
  },

  async refused() {
    const body = { ...plain, model: 'guarded' };
    const whole = await client.chat.completions.create(body);
    const streamed = await client.chat.completions.stream(body).finalChatCompletion();
    return [whole, streamed].map(({ choices }) => choices[0].finish_reason);
  },

  async parsed() {
    const body = { ...plain, response_format: zodResponseFormat(Greeting, 'greeting') };
    const chat = await client.chat.completions.parse(body);
    const runner = client.chat.completions.stream(body);
    const streamed = await runner.finalChatCompletion();
    const format = zodTextFormat(Greeting, 'greeting');
    const response = await client.responses.parse({ ...asked, text: { format } });
    return [
      chat.choices[0].message.parsed,
      streamed.choices[0].message.parsed,
      response.output_parsed,
    ];
  },

  async embeddings() {
    const model = 'text-embedding-3-small';
    const input = ['ab', 'abc'];
    const packed = await client.embeddings.create({ model, input });
    const floats = await client.embeddings.create({ model, input, encoding_format: 'float' });
    return [packed, floats].map((answer) => answer.data.map((one) => one.embedding));
  },

  async responses() {
    const whole = await client.responses.create(asked);
    const events = await collected(await client.responses.create({ ...asked, stream: true }));
    const helped = await client.responses.stream(asked).finalResponse();
    return {
      texts: [whole.output_text, events.at(-1).response.output[0].content[0].text, helped.output_text],
      types: events.map((event) => event.type),
      numbers: events.map((event) => event.sequence_number),
    };
  },

  async others() {
    const completion = await client.completions.create({ model: 'plain', prompt: 'Say hello.' });
    const models = await collected(await client.models.list());
    const judged = await client.moderations.create({ input: 'bad words' });
    return {
      completion: completion.choices[0].text,
      models: models.map((model) => model.id),
      violence: judged.results[0].categories.violence,
    };
  },

  async errors() {
    const create = (body) => client.chat.completions.create({ ...plain, ...body });
    const other = new OpenAI({ baseURL, apiKey: 'hg-wrong', maxRetries: 0 });
    const narrow = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
    const key = { headers: { 'Idempotency-Key': 'node-1' } };
    await client.chat.completions.create(plain, key);
    return {
      400: await failureOf(create({ temperature: 9 })),
      401: await failureOf(other.chat.completions.create(plain)),
      403: await failureOf(narrow.chat.completions.create({ ...plain, model: 'strict' })),
      404: await failureOf(create({ model: 'none' })),
      409: await failureOf(client.chat.completions.create({ ...plain, temperature: 1 }, key)),
      502: await failureOf(create({ model: 'lost' })),
    };
  },

  async status() {
    return await failureOf(client.chat.completions.create(plain));
  },

  async retried() {
    const patient = new OpenAI({ baseURL, apiKey, maxRetries: 2 });
    const answer = await patient.chat.completions.create(plain);
    return answer.choices[0].message.content;
  },

  async truncated() {
    return await failureOf(
      (async () => collected(await client.chat.completions.create({ ...plain, stream: true })))(),
    );
  },

  async abort() {
    const stream = await client.chat.completions.create({ ...plain, stream: true });
    for await (const chunk of stream) {
      stream.controller.abort();
      return chunk.choices[0].delta;
    }
    throw new Error('the stream was empty');
  },

  async inputs() {
    const body = { ...plain, model: 'prompted', headgate: { inputs: { name: 'Ann' } } };
    const { response } = await client.chat.completions.create(body).withResponse();
    return response.headers.get('x-headgate-prompt');
  },
};

console.log(JSON.stringify(await scenarios[scenario]()));
